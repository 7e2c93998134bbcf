"""A fold's network in MLflow: exported (never pickled), and the best of each dataset registered as its champion."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from shearbench.evaluation.cell import FoldRun
from shearbench.tracking.store import PARENT_TAG, RECORD_TAG, Store

CHAMPION = "champion"
_MODEL_TAG = "shearbench.model"
_SKIPPED_TAG = "shearbench.model_skipped"
_LONGEST = 400  # characters of a reason


def log_network(store: Store, run_id: str, run: FoldRun, example: Any) -> None:
    """Log a fold's network, exported (never pickled), from raw inputs to probabilities."""
    import mlflow
    import torch
    from mlflow.models import infer_signature

    from shearbench.evaluation.serving import Served
    from shearbench.training.weights import load_network

    network, normaliser, _ = load_network(run.folder)
    served = Served(network.cpu(), normaliser).eval()
    with torch.no_grad():
        signature = infer_signature(example, served(torch.from_numpy(example)).numpy())
    with mlflow.start_run(run_id=run_id):
        try:
            logged = mlflow.pytorch.log_model(
                served,
                name="network",
                signature=signature,
                input_example=example,
                pip_requirements=[f"torch=={version('torch')}"],
                serialization_format="pt2",
                step=run.record["epochs"],
            )
        except RuntimeError as error:  # what torch.export raises for a network that it cannot follow
            store.client.set_tag(run_id, _SKIPPED_TAG, f"torch.export: {str(error)[:_LONGEST]}")
            return
    store.client.set_tag(run_id, _MODEL_TAG, logged.model_uri)


def register_champion(store: Store, runs: Sequence[FoldRun], parent: str) -> None:
    """Register the network of the fold with the lowest validation loss, unless it could not be exported."""
    dataset, model = runs[0].record["dataset"], runs[0].record["model"]
    chosen = min(runs, key=lambda run: float(run.record["metrics"]["validation_loss"]))
    wanted = f"tags.`{RECORD_TAG}` = '{chosen.digest}' and tags.`{PARENT_TAG}` = '{parent}'"
    (fold,) = store.client.search_runs([store.experiment], filter_string=wanted)
    text = (
        f"{model}, the best on {dataset} by cross-validation; fold {chosen.fold}, which has the lowest "
        "validation loss of its folds"
    )
    if _MODEL_TAG in fold.data.tags:
        _register(store, dataset, fold, text)


def _register(store: Store, name: str, fold: Any, description: str) -> None:
    """Give the network of the run ``fold`` the alias ``champion`` of the registered model ``name``."""
    client, run_id = store.client, fold.info.run_id
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description=f"The best network on {name}, by cross-validation.")
    versions = client.search_model_versions(f"name = '{name}'")
    known = [each.version for each in versions if each.run_id == run_id]
    if not known:
        source = fold.data.tags[_MODEL_TAG]
        model_id = source.split("/")[-1]
        made = client.create_model_version(name, source, run_id, description=description, model_id=model_id)
        known = [made.version]
    client.set_registered_model_alias(name, CHAMPION, known[0])

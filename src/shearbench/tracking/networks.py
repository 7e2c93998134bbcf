"""Log networks of folds in MLflow, exported (not pickled), and register the champion of each dataset.

Slow imports are inside the functions that need them, because most processes that use MLflow do not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shearbench.predictions.contents import Content
from shearbench.predictions.folds import FoldRun
from shearbench.records import sha256_of
from shearbench.tracking.store import PARENT_TAG, RECORD_TAG, Store, log, run_of, supersede

if TYPE_CHECKING:
    from shearbench.comparison.champion import Trust

CHAMPION = "champion"
READERS = "shearbench-readers"
"""The registered model of the readers that ship with the package."""
_MODEL_TAG = "shearbench.model"
_SKIPPED_TAG = "shearbench.model_skipped"
_LONGEST = 400  # characters of a reason in a tag


def send_networks(store: Store, fold_runs: Sequence[FoldRun], parent: str, example: Callable[[], Any]) -> None:
    """Log the missing networks of the folds of a run; the fold runs are nested beneath ``parent``.

    The parent lists them as its models too. torch and its exporter take seconds to load, so this is done once for all
    runs, after all other records are sent.

    Args:
        example: returns a few inputs of the dataset.
    """
    nested = f"tags.`{PARENT_TAG}` = '{parent}'"
    sent = {
        fold_run.data.tags[RECORD_TAG]: fold_run for fold_run in store.client.search_runs([store.experiment], nested)
    }
    missing = [fold_run for fold_run in fold_runs if not _has_network(store, sent[fold_run.digest])]
    if missing:
        import mlflow

        from shearbench.comparison.champion import temperature_of

        mlflow.set_experiment(experiment_id=store.experiment)  # MLflow ignores the experiment of the run for networks
        temperature, inputs = temperature_of(fold_runs), example()
        for fold_run in missing:
            _log_network(store, sent[fold_run.digest].info.run_id, fold_run, temperature=temperature, example=inputs)
        _list_models(store, parent, [(sent[one.digest].info.run_id, one.record["epochs"]) for one in missing])


def _list_models(store: Store, parent: str, logged: Sequence[tuple[str, int]]) -> None:
    """List models as outputs of the parent run; ``logged`` are their run ids and numbers of trained epochs."""
    from mlflow.entities import LoggedModelOutput

    tags = [(store.client.get_run(run_id).data.tags, step) for run_id, step in logged]
    models = [LoggedModelOutput(own[_MODEL_TAG].split("/")[-1], step) for own, step in tags if _MODEL_TAG in own]
    if models:
        store.client.log_outputs(parent, models)


def _has_network(store: Store, run: Any) -> bool:
    """Return True if MLflow has the network of a run, or its export failed; a user may have deleted it."""
    tags = run.data.tags
    if _MODEL_TAG not in tags:
        return _SKIPPED_TAG in tags
    found = store.client.search_logged_models([store.experiment], f"source_run_id = '{run.info.run_id}'")
    return any(each.model_id == tags[_MODEL_TAG].split("/")[-1] for each in found)


def _log_network(store: Store, run_id: str, fold_run: FoldRun, *, temperature: float, example: Any) -> None:
    """Log the exported network of a fold, from raw inputs to calibrated probabilities."""
    from shearbench.predictions.serving import Served
    from shearbench.training.weights import load_network

    network, normaliser, _ = load_network(fold_run.folder)
    served = Served(network.cpu(), normaliser, temperature).eval()
    flavour = _flavour_of_network(served) if fold_run.is_network else _flavour_of_classifier(fold_run)
    name, epochs = f"{fold_run.record['dataset']}-{fold_run.record['model']}", fold_run.record["epochs"]
    _log_model(store, (run_id, fold_run.digest), served, flavour, name=name, example=example, step=epochs)


def _log_model(
    store: Store, run: tuple[str, str], served: Any, flavour: Mapping[str, Any], *, name: str, example: Any, step: int
) -> None:
    """Log a model with signature and input example; ``run`` is the run id and the digest of the record."""
    import torch
    from mlflow.models import Model, infer_signature

    run_id, digest = run
    _delete_earlier(store, run_id, digest)
    with torch.no_grad():
        signature = infer_signature(example, served(torch.from_numpy(example)).numpy())
    try:
        logged = Model.log(  # like `mlflow.pytorch.log_model`, but for a finished run
            artifact_path=None,
            name=name,
            run_id=run_id,
            signature=signature,
            input_example=example,
            step=step,
            **flavour,
        )
    except RuntimeError as error:  # raised by torch.export if it cannot trace a network
        store.client.set_tag(run_id, _SKIPPED_TAG, f"torch.export: {str(error)[:_LONGEST]}")
        return
    store.client.set_tag(run_id, _MODEL_TAG, logged.model_uri)


def _delete_earlier(store: Store, run_id: str, digest: str) -> None:
    """Delete networks of a fold that were logged by a killed process or for a deleted run."""
    from mlflow.entities import ViewType

    same = f"tags.`{RECORD_TAG}` = '{digest}'"
    deleted = store.client.search_runs([store.experiment], same, ViewType.DELETED_ONLY)
    for each in (run_id, *(run.info.run_id for run in deleted)):
        for earlier in store.client.search_logged_models([store.experiment], f"source_run_id = '{each}'"):
            store.client.delete_logged_model(earlier.model_id)


def _flavour_of_network(served: Any) -> dict[str, Any]:
    """Return MLflow's arguments for a network: a program by torch.export."""
    import mlflow

    return {
        "flavor": mlflow.pytorch,
        "pytorch_model": served,
        "pip_requirements": [f"torch=={version('torch')}"],
        "serialization_format": "pt2",
        "validate_serving_input": False,  # would load the network again for each fold
    }


def _flavour_of_classifier(fold_run: FoldRun) -> dict[str, Any]:
    """Return MLflow's arguments for a classifier: the fitted pipeline by skops, from raw inputs to probabilities.

    Its probabilities are not scaled by a temperature.
    """
    import mlflow

    from shearbench.models.classical import to_bytes, trusted_types
    from shearbench.training.classifier import load_pipeline

    architecture = fold_run.record["config"]["architecture"]
    pipeline = load_pipeline(fold_run.folder, architecture)
    return {
        "flavor": mlflow.sklearn,
        "sk_model": pipeline,
        "pip_requirements": [f"{name}=={version(name)}" for name in ("scikit-learn", "skops", "shearbench")],
        "serialization_format": "skops",
        "skops_trusted_types": trusted_types(to_bytes(pipeline), architecture),
        "pyfunc_predict_fn": "predict_proba",
    }


def send_readers(store: Store) -> None:
    """Log the readers that ship with shearbench as one model, once, and register it as ``READERS``."""
    import mlflow
    import numpy as np

    from shearbench.handwriting import readers

    loaded = readers.load()
    facts, record = loaded.facts, readers.FOLDER / readers.RECORD
    digest = sha256_of(record)
    accuracy = {
        f"accuracy/{data}/{reader}".replace(",", ""): float(value)  # MLflow takes no commas in a name
        for data, measured in loaded.record["accuracy"].items()
        for reader, value in measured.items()
    }
    origin = {key: loaded.record[key] for key in ("data", "data_sha256", "seed")}
    with run_of(store, READERS, digest, None) as (run_id, is_new):
        supersede(store, READERS, run_id)
        if is_new:
            log(store, run_id, Content(origin | {"readers": ", ".join(facts["readers"])}, {}, accuracy, [], [record]))
    mlflow.set_experiment(experiment_id=store.experiment)
    if not _has_network(store, store.client.get_run(run_id)):
        served = readers.Served(loaded).eval()
        example = np.zeros((4, 1, 28, 28), np.float32)  # with 1 image, torch.export would fix the batch size
        example[:, :, 4:24, 13:16] = 255  # the digit 1
        flavour = _flavour_of_network(served)
        _log_model(store, (run_id, digest), served, flavour, name=READERS, example=example, step=0)
    trust = loaded.trust
    text = (
        f"Reads handwritten digits: {', '.join(facts['readers'])}, mean over {facts['views']} views. Images "
        "(n, 1, 28, 28), 0 to 255, as `shearbench predict --request` prepares them, to calibrated probabilities "
        f"(n, 10). From a confidence of {trust.threshold:.4f} on, {100 * trust.demanded:.1f} % are to be right."
    )
    about = "The readers that ship with shearbench."
    _register(store, READERS, store.client.get_run(run_id), trust, about=about, description=text)


def register_champion(store: Store, fold_runs: Sequence[FoldRun], parent: str, card: str, *, demanded: float) -> None:
    """Register the champion network of a run, unless its export failed.

    The description has the ``card`` of the run, as Markdown. ``demanded`` is the demanded accuracy; the tags have the
    least confidence with which it is reached.
    """
    from shearbench.comparison.champion import champion_of, trust_of

    dataset, model = fold_runs[0].record["dataset"], fold_runs[0].record["model"]
    chosen, trust = champion_of(fold_runs), trust_of(fold_runs, demanded)
    classes, shape = chosen.record["classes"], ", ".join(map(str, chosen.record["inputs"]))
    wanted = f"tags.`{RECORD_TAG}` = '{chosen.digest}' and tags.`{PARENT_TAG}` = '{parent}'"
    (fold,) = store.client.search_runs([store.experiment], filter_string=wanted)
    text = (
        f"{model}, the best on {dataset} by cross-validation; fold {chosen.fold}, which has the lowest "
        f"validation loss of its folds. Raw inputs (n, {shape}) to calibrated probabilities (n, {len(classes)}) of the "
        f"classes {', '.join(classes)}.\n\n{card}"
    )
    if _MODEL_TAG in fold.data.tags:
        _register(store, f"shearbench-{dataset}", fold, trust, about=f"The best model on {dataset}.", description=text)


def _register(store: Store, name: str, fold: Any, trust: "Trust", *, about: str, description: str) -> None:
    """Set the alias ``champion`` of the registered model ``name`` to the network of the run ``fold``.

    ``about`` describes the registered model, ``description`` its version; the tags of the version hold its ``trust``.
    """
    client, run_id = store.client, fold.info.run_id
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description=about)
    versions = client.search_model_versions(f"name = '{name}'")
    known = [each.version for each in versions if each.run_id == run_id]
    if not known:
        source = fold.data.tags[_MODEL_TAG]
        model_id = source.split("/")[-1]
        made = client.create_model_version(name, source, run_id, description=description, model_id=model_id)
        known = [made.version]
    for key, value in asdict(trust).items():
        client.set_model_version_tag(name, known[0], f"shearbench.{key}", str(value))
    client.set_registered_model_alias(name, CHAMPION, known[0])

"""Log the models of folds in MLflow, exported (not pickled), and register the champion of each dataset.

Slow imports are inside the functions that need them, because most processes that use MLflow do not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from shearbench.predictions.contents import Content, Node
from shearbench.predictions.folds import FoldRun
from shearbench.records import sha256_of
from shearbench.tracking.store import PARENT_TAG, RECORD_TAG, Store, send_node

if TYPE_CHECKING:
    from shearbench.comparison.champion import Trust

CHAMPION = "champion"
READERS = "shearbench-readers"
"""The registered model of the readers that ship with the package."""
_MODEL_TAG = "shearbench.model"
_SKIPPED_TAG = "shearbench.model_skipped"
_LONGEST = 400  # characters of a reason in a tag


def send_models(store: Store, fold_runs: Sequence[FoldRun], parent: str, example: Callable[[], Any]) -> None:
    """Log the missing models of the folds of a run; the fold runs are nested beneath ``parent``.

    The parent lists them as its models too. torch and its exporter take seconds to load, so this is done once for all
    runs, after all other records are sent. ``example`` returns a few inputs of the dataset.
    """
    nested = store.client.search_runs([store.experiment], f"tags.`{PARENT_TAG}` = '{parent}'")
    sent = {run.data.tags[RECORD_TAG]: run for run in nested}
    missing = [fold_run for fold_run in fold_runs if not _has_model(store, sent[fold_run.digest])]
    if not missing:
        return
    import mlflow
    from mlflow.entities import LoggedModelOutput

    from shearbench.comparison.champion import temperature_of

    mlflow.set_experiment(experiment_id=store.experiment)  # MLflow ignores the experiment of the run for models
    temperature, inputs = temperature_of(fold_runs), example()
    outputs = []
    for fold_run in missing:
        run_id = sent[fold_run.digest].info.run_id
        uri = _log_fold(store, run_id, fold_run, temperature=temperature, example=inputs)
        if uri:
            outputs.append(LoggedModelOutput(_id_in(uri), fold_run.record["epochs"]))
    if outputs:
        store.client.log_outputs(parent, outputs)


def _id_in(uri: str) -> str:
    return uri.split("/")[-1]


def _has_model(store: Store, run: Any) -> bool:
    """Return True if MLflow has the model of a run, or its export failed; a user may have deleted it."""
    tags = run.data.tags
    if _MODEL_TAG not in tags:
        return _SKIPPED_TAG in tags
    found = store.client.search_logged_models([store.experiment], f"source_run_id = '{run.info.run_id}'")
    return any(each.model_id == _id_in(tags[_MODEL_TAG]) for each in found)


def _log_fold(store: Store, run_id: str, fold_run: FoldRun, *, temperature: float, example: Any) -> str | None:
    """Log the exported model of a fold, from raw inputs to calibrated probabilities; return its URI, if any."""
    from shearbench.handwriting.readers import Served
    from shearbench.training.results import load_network

    network, normaliser, _ = load_network(fold_run.folder)
    served = Served(network.cpu(), normaliser, temperature).eval()
    flavour = _flavour_of_network(served) if fold_run.is_network else _flavour_of_classifier(fold_run)
    name, epochs = f"{fold_run.record['dataset']}-{fold_run.record['model']}", fold_run.record["epochs"]
    return _log_model(store, (run_id, fold_run.digest), served, flavour, name=name, example=example, step=epochs)


def _log_model(
    store: Store, run: tuple[str, str], served: Any, flavour: Mapping[str, Any], *, name: str, example: Any, step: int
) -> str | None:
    """Log a model with signature and input example; ``run`` is the run id and the digest of the record.

    Return the URI of the model, or None if it cannot be exported.
    """
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
        return None
    store.client.set_tag(run_id, _MODEL_TAG, logged.model_uri)
    return str(logged.model_uri)


def _delete_earlier(store: Store, run_id: str, digest: str) -> None:
    """Delete models of a fold that were logged by a killed process or for a deleted run."""
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
    digest, names = sha256_of(record), ", ".join(facts["readers"])
    accuracy = {
        f"accuracy/{data}/{reader}".replace(",", ""): float(value)  # MLflow takes no commas in a name
        for data, measured in loaded.record["accuracy"].items()
        for reader, value in measured.items()
    }
    params = {"readers": names, **{key: loaded.record[key] for key in ("data", "data_sha256", "seed")}}
    run_id = send_node(store, Node(READERS, digest, Content(params, {}, accuracy, [], [record])))
    mlflow.set_experiment(experiment_id=store.experiment)
    if not _has_model(store, store.client.get_run(run_id)):
        served = readers.served(loaded).eval()
        example = np.zeros((4, 1, 28, 28), np.float32)  # with 1 image, torch.export would fix the batch size
        example[:, :, 4:24, 13:16] = 255  # the digit 1
        flavour = _flavour_of_network(served)
        _log_model(store, (run_id, digest), served, flavour, name=READERS, example=example, step=0)
    trust = loaded.trust
    text = (
        f"Predicts handwritten digits: {names}, mean over {facts['views']} views. Images "
        "(n, 1, 28, 28), 0 to 255, as `shearbench predict --request` prepares them, to calibrated probabilities "
        f"(n, 10). From a confidence of {trust.threshold:.4f} on, {100 * trust.demanded:.1f} % are to be right."
    )
    about = "The readers that ship with shearbench."
    _register(store, READERS, store.client.get_run(run_id), trust, about=about, description=text)


def register_champion(store: Store, fold_runs: Sequence[FoldRun], parent: str, card: str, *, demanded: float) -> None:
    """Register the champion of a run, unless its export failed.

    The description has the ``card`` of the run, as Markdown. ``demanded`` is the demanded accuracy; the tags have the
    least confidence with which it is reached.
    """
    from shearbench.comparison.champion import champion_of, trust_of

    dataset, model = fold_runs[0].record["dataset"], fold_runs[0].record["model"]
    chosen = champion_of(fold_runs)
    classes, shape = chosen.record["classes"], ", ".join(map(str, chosen.record["inputs"]))
    wanted = f"tags.`{RECORD_TAG}` = '{chosen.digest}' and tags.`{PARENT_TAG}` = '{parent}'"
    (fold,) = store.client.search_runs([store.experiment], filter_string=wanted)
    if _MODEL_TAG not in fold.data.tags:
        return
    text = (
        f"{model}, the best on {dataset} by cross-validation; fold {chosen.fold}, which has the lowest "
        f"validation loss of its folds. Raw inputs (n, {shape}) to calibrated probabilities (n, {len(classes)}) of the "
        f"classes {', '.join(classes)}.\n\n{card}"
    )
    trust, about = trust_of(fold_runs, demanded), f"The best model on {dataset}."
    _register(store, f"shearbench-{dataset}", fold, trust, about=about, description=text)


def _register(store: Store, name: str, run: Any, trust: "Trust", *, about: str, description: str) -> None:
    """Set the alias ``champion`` of the registered model ``name`` to the model of a run.

    ``about`` describes the registered model, ``description`` its version; the tags of the version hold its ``trust``.
    """
    client, run_id, uri = store.client, run.info.run_id, run.data.tags[_MODEL_TAG]
    if not client.search_registered_models(filter_string=f"name = '{name}'"):
        client.create_registered_model(name, description=about)
    versions = [each for each in client.search_model_versions(f"name = '{name}'") if each.run_id == run_id]
    if not versions:
        versions = [client.create_model_version(name, uri, run_id, description=description, model_id=_id_in(uri))]
    number = versions[0].version
    for key, value in asdict(trust).items():
        client.set_model_version_tag(name, number, f"shearbench.{key}", str(value))
    client.set_registered_model_alias(name, CHAMPION, number)

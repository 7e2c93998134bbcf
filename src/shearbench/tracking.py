"""MLflow as a mirror: finished records are copied to it, and nothing is ever read back from it.

The only file that imports mlflow, and only inside its functions: with ``uri="off"`` it is never loaded. With MLflow
down a warning is printed, every number stays as it is, and :func:`track_all` sends later what is missing. A record
that has been sent is not sent again: a run carries the hash of its record in the tag ``shearbench.record``.

A cell is a parent run; its folds, with their exported networks, and its evaluation are nested beneath.
"""

import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from rich.console import Console

from shearbench.data import dataset as datasets
from shearbench.evaluation.cell import FoldRun, read_runs
from shearbench.evaluation.comparison import best_of_each_dataset
from shearbench.evaluation.contents import Content, cell_content, evaluation_content, fold_content
from shearbench.records import RECORD, hash_of, is_finished, read_json, read_record, sha256_of

EXPERIMENT = "shearbench"
CHAMPION = "champion"
OFF = "off"
_RECORD_TAG = "shearbench.record"
_MODEL_TAG = "shearbench.model"
_SKIPPED_TAG = "shearbench.model_skipped"
_PARENT_TAG = "mlflow.parentRunId"
_EXAMPLE = 4  # rows; torch.export would fix the batch at 1 if it saw a batch of 1
_LONGEST = 400  # characters of a reason
_MOST_METRICS = 1000  # the most that MLflow takes in one call
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_NOTE = """Each run `<dataset>-<model>` is one network on one dataset; beneath it are its folds and its evaluation.

**To compare**: tick the runs `<dataset>-<model>` and press *Compare*. `cv_accuracy_mean` is over the held-out folds,
`test_accuracy_mean` over the sealed test set, both as fractions. A run with the tag `shearbench.superseded` has been
trained again since. The best network of each dataset, by cross-validation, is a registered model with the alias
`champion`. This is a copy: the results themselves are the files under `build/` and `reports/`."""


class TrackingFailed(RuntimeError):
    """MLflow cannot take what it is sent; the message says why."""


class CellNames(Protocol):
    """The names of a cell, as in ``params.yaml``."""

    @property
    def dataset(self) -> str: ...
    @property
    def model(self) -> str: ...


class CrossValidation(Protocol):
    """How many folds a cell has."""

    @property
    def folds(self) -> int: ...


class Tracking(Protocol):
    """Where to send: ``default``, ``off`` or the URI of an MLflow server."""

    @property
    def uri(self) -> str: ...


class Plan(Protocol):
    """The part of ``shearbench.params.Params`` that is read here; that module stands above this one."""

    @property
    def cells(self) -> Mapping[str, CellNames]: ...
    @property
    def cv(self) -> CrossValidation: ...
    @property
    def tracking(self) -> Tracking: ...


@dataclass(frozen=True)
class _Cell:
    """A cell whose folds are finished: where its files are, and its folds."""

    root: Path
    dataset: str
    model: str
    runs: Sequence[FoldRun]

    @property
    def name(self) -> str:
        """What its run is called."""
        return f"{self.dataset}-{self.model}"

    @property
    def evaluation(self) -> Path:
        """The folder of its evaluation."""
        return self.root / "build" / "evaluation" / self.dataset / self.model


@dataclass(frozen=True)
class _Store:
    """An MLflow store that is there, and the id of our experiment in it."""

    client: Any
    experiment: str


def track_all(root: Path, plan: Plan, *, cells: Sequence[str] | None = None) -> bool:
    """Send MLflow what is finished and not there yet; return whether it has everything now.

    Args:
        root: the project's folder; the records are under ``build/``.
        plan: cells, folds and where to send, from ``params.yaml``.
        cells: names of cells to send; without them all are sent, and the best network of each dataset registered.

    Raises:
        InputError: if a record is damaged.
    """
    if plan.tracking.uri == OFF:
        return False
    names = plan.cells if cells is None else cells
    found = [cell for name in names if (cell := _finished(root, plan.cells[name], plan.cv.folds))]
    comparison = root / "reports" / "comparison.json"
    rows = read_json(comparison) if cells is None and comparison.is_file() else []
    return _attempt(root, plan.tracking.uri, lambda store: _send(store, found, best_of_each_dataset(rows)))


def ui_command(root: Path, port: int) -> list[str]:
    """Return the command that serves MLflow's pages of the default store, to this machine only."""
    (root / "mlruns").mkdir(exist_ok=True)
    return [
        "env",
        "MLFLOW_DISABLE_TELEMETRY=true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false",
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", _default_uri(root)),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", f"127.0.0.1:{port},localhost:{port}"),
    ]


def _attempt(root: Path, uri: str, send: Callable[[_Store], object]) -> bool:
    """Open the store and send; a store that cannot take it is a warning, as the results are on disk."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)  # before mlflow is imported, which reads some of them once
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        send(_open(root, uri))
    except (TrackingFailed, MlflowException, SQLAlchemyError, OSError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        Console(stderr=True).print(
            f"[yellow]MLflow did not take the results[/] ({type(error).__name__}: {first_line:.300}). They are on disk "
            "and complete; `shearbench track` sends them later.",
            soft_wrap=True,
        )
        return False
    return True


def _default_uri(root: Path) -> str:
    return f"sqlite:///{root.resolve() / 'mlruns' / 'mlflow.db'}"


def _open(root: Path, uri: str) -> _Store:
    """Open the store, and make its database and our experiment where they are missing."""
    import mlflow

    if uri != "default":
        mlflow.set_tracking_uri(uri)
        return _with_experiment(None)
    mlflow.set_tracking_uri(_default_uri(root))
    artifacts = (root.resolve() / "mlruns" / "artifacts").as_uri()
    with _lock(root / "mlruns" / ".lock"):  # two processes that make one SQLite database at once both fail
        return _with_experiment(artifacts)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, waiting for another process that has it."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _with_experiment(artifacts: str | None) -> _Store:
    from mlflow import MlflowClient

    client = MlflowClient()
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        made = client.create_experiment(EXPERIMENT, artifacts, tags={"mlflow.note.content": _NOTE})
        return _Store(client, made)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if artifacts is not None and found.artifact_location != artifacts:
        raise TrackingFailed(
            f"mlruns/ was made for {found.artifact_location}, and MLflow cannot move; remove mlruns/mlflow.db first"
        )
    return _Store(client, found.experiment_id)


def _finished(root: Path, names: CellNames, folds: int) -> _Cell | None:
    """Return a cell with its fold records, or None where a fold is missing."""
    folder = root / "build" / "runs" / names.dataset / names.model
    if not all(is_finished(folder / f"fold-{fold}") for fold in range(folds)):
        return None
    return _Cell(root, names.dataset, names.model, read_runs(folder, folds))


def _send(store: _Store, cells: Sequence[_Cell], best: Mapping[str, str]) -> None:
    """Send cells and their evaluations, and register those that are the best of their dataset."""
    for cell in cells:
        run_id = _send_folds(store, cell)
        if is_finished(cell.evaluation):
            _send_evaluation(store, cell, run_id)
        if best.get(cell.dataset) == cell.model:
            _register_champion(store, cell, run_id)


def _send_folds(store: _Store, cell: _Cell) -> str:
    """Send a cell and its folds; return the id of its run."""
    digest = hash_of([run.digest for run in cell.runs])
    with _run(store, cell.name, digest, None) as (run_id, is_new):
        if is_new:
            _supersede(store, cell.name, run_id)
            _log(store, run_id, cell_content(cell.runs))
            _log_input(store, run_id, cell.dataset, cell.runs[0].record["hashes"]["data"], "training")
            data = datasets.load(cell.root / "build" / "datasets" / cell.dataset, "train")
            example = data.inputs[:_EXAMPLE].astype(np.float32)
            for run in cell.runs:
                with _run(store, f"{cell.name} fold {run.fold}", run.digest, run_id) as (child, _):
                    _log(store, child, fold_content(run))
                    _log_network(store, child, run, example)
    return run_id


def _send_evaluation(store: _Store, cell: _Cell, parent: str) -> None:
    """Send a cell's evaluation beneath its run, and its test scores to that run."""
    record = read_record(cell.evaluation)
    if record["fold_records"] != [run.digest for run in cell.runs]:
        return  # of an earlier training: `evaluate` has yet to run
    with _run(store, f"{cell.name} evaluation", sha256_of(cell.evaluation / RECORD), parent) as (child, is_new):
        if is_new:
            content = evaluation_content(cell.evaluation, record)
            _log(store, child, content)
            _log_input(store, child, cell.dataset, record["hashes"]["test"], "test")
            test = {name: value for name, value in content.metrics.items() if name.startswith("test_")}
            _log(store, parent, Content({}, {}, test, [], []))


@contextmanager
def _run(store: _Store, name: str, digest: str, parent: str | None) -> Iterator[tuple[str, bool]]:
    """Yield (run id, whether it is new) for a record; a new run is finished when all of it has been sent.

    A run that was left unfinished (MLflow stopped, the process died) is deleted and sent again.
    """
    wanted = f"tags.`{_RECORD_TAG}` = '{digest}'"
    wanted += f" and tags.`{_PARENT_TAG}` = '{parent}'" if parent else ""
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        if run.info.status == "FINISHED":
            yield run.info.run_id, False
            return
        _delete(store, run.info.run_id)
    tags = {_RECORD_TAG: digest, **({_PARENT_TAG: parent} if parent else {})}
    run_id = store.client.create_run(store.experiment, tags=tags, run_name=name).info.run_id
    yield run_id, True
    store.client.set_terminated(run_id)


def _delete(store: _Store, run_id: str) -> None:
    """Delete a run and those nested beneath it."""
    nested = store.client.search_runs([store.experiment], filter_string=f"tags.`{_PARENT_TAG}` = '{run_id}'")
    for each in (run_id, *(run.info.run_id for run in nested)):
        store.client.delete_run(each)


def _supersede(store: _Store, name: str, run_id: str) -> None:
    """Mark the earlier runs of a cell, so that the latest can be told from them."""
    wanted = f"attributes.run_name = '{name}' and attributes.run_id != '{run_id}'"
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        store.client.set_tag(run.info.run_id, "shearbench.superseded", "yes")


def _log(store: _Store, run_id: str, content: Content) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    steps = [(name, value, 0) for name, value in content.metrics.items()]
    steps += [(name, value, step) for name, step, value in content.curves]
    metrics = [Metric(name, value, now, step) for name, value, step in steps]
    params = [Param(name, str(value)) for name, value in content.params.items()]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    store.client.log_batch(run_id, metrics[:_MOST_METRICS], params, tags)
    for start in range(_MOST_METRICS, len(metrics), _MOST_METRICS):
        store.client.log_batch(run_id, metrics[start : start + _MOST_METRICS])
    for file in content.files:
        store.client.log_artifact(run_id, str(file), "figures" if file.suffix == ".png" else None)


def _log_input(store: _Store, run_id: str, name: str, content_hash: str, context: str) -> None:
    """Name the data that a run used by its content hash; MLflow's own digest samples rows and misses changes."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = f'{{"path": "build/datasets/{name}"}}'
    used = Dataset(name, content_hash[:36], "local", source)  # 36: the longest digest MLflow takes
    store.client.log_inputs(run_id, [DatasetInput(used, [InputTag("mlflow.data.context", context)])])


def _log_network(store: _Store, run_id: str, run: FoldRun, example: Any) -> None:
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


def _register_champion(store: _Store, cell: _Cell, parent: str) -> None:
    """Register the network of the fold with the lowest validation loss, unless it could not be exported."""
    chosen = min(cell.runs, key=lambda run: float(run.record["metrics"]["validation_loss"]))
    wanted = f"tags.`{_RECORD_TAG}` = '{chosen.digest}' and tags.`{_PARENT_TAG}` = '{parent}'"
    (fold,) = store.client.search_runs([store.experiment], filter_string=wanted)
    text = (
        f"{cell.model}, the best on {cell.dataset} by cross-validation; fold {chosen.fold}, which has the lowest "
        "validation loss of its folds"
    )
    if _MODEL_TAG in fold.data.tags:
        _register(store, cell.dataset, fold, text)


def _register(store: _Store, name: str, fold: Any, description: str) -> None:
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

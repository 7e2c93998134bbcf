"""The MLflow store: opened once, its runs made once for each record, and what goes into a run."""

import getpass
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rich.console import Console
from rich.markup import escape

from shearbench.errors import without_secrets
from shearbench.records import locked
from shearbench.tracking.moved import artifacts_uri, database, follow_move, home

if TYPE_CHECKING:
    from shearbench.predictions.contents import Content

EXPERIMENT = "shearbench"
ABLATIONS = "shearbench-ablations"
RECORD_TAG = "shearbench.record"
PARENT_TAG = "mlflow.parentRunId"
SUPERSEDED_TAG = "shearbench.superseded"
_MOST_METRICS = 1000  # the most that MLflow takes in one call
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of each run, with the login that a URL may hold
}


class TrackingFailed(RuntimeError):
    """MLflow cannot take what it is sent; the message says why."""


@dataclass(frozen=True)
class Store:
    """An MLflow store that is there, and the id of our experiment in it."""

    client: Any
    experiment: str


def attempt(root: Path, uri: str, send: Callable[[Store], object], *, experiment: str = EXPERIMENT) -> bool:
    """Open the store and send. A store that cannot accept records gives a warning, because the results are on disk.

    One process of a project sends at a time, so that two processes never create the same database or run.
    """
    try:
        with trying(), locked(home(root) / "mlruns" / ".lock"):
            try:
                send(_open(root, uri, experiment))
            finally:
                _close()
    except TrackingFailed as error:
        Console(stderr=True).print(
            f"[yellow]MLflow did not take the results[/] ({escape(str(error))}). They are on disk "
            "and complete; `shearbench track` sends them later.",
            soft_wrap=True,
        )
        return False
    return True


@contextmanager
def trying() -> Iterator[None]:
    """Set MLflow up for a block that uses it.

    Raises:
        TrackingFailed: where the store fails in the block, with the first line of what it said.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)  # before mlflow is imported, which reads some of them once
    from mlflow.exceptions import MlflowException
    from sqlalchemy import Engine, event
    from sqlalchemy.exc import SQLAlchemyError

    event.listen(Engine, "connect", _write_ahead)  # SQLAlchemy keeps one of several that are equal
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise TrackingFailed(without_secrets(f"{type(error).__name__}: {first_line:.300}")) from error


def _write_ahead(connection: object, _record: object) -> None:
    """Let SQLite write a log ahead: MLflow commits thousands of times, and none waits for the disk then.

    A crash damages nothing. A power failure may undo the last commits, until `_close` has written them to the disk.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")


def _close() -> None:
    """Close MLflow's databases; SQLite then writes its log into the database and deletes it."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for kind in (SqlAlchemyStore, RegistryStore):
        for engine in kind._engine_map.values():
            engine.dispose()


def _uri(path: Path) -> str:
    return f"sqlite:///{str(path).replace('%', '%25')}"  # MLflow takes % for the beginning of a quoted character


def default_uri(root: Path) -> str:
    """Return the URI of the default store."""
    return _uri(database(root))


def _open(root: Path, uri: str, experiment: str) -> Store:
    """Open the store, and make its database and our experiment where they are missing."""
    import mlflow

    if uri != "default":
        mlflow.set_tracking_uri(uri)
        return _with_experiment(experiment, None)
    if not database(root).exists():
        _make_database(database(root))
    follow_move(root)
    mlflow.set_tracking_uri(default_uri(root))
    return _with_experiment(experiment, artifacts_uri(root))


def _make_database(path: Path) -> None:
    """Make MLflow's tables in another file, and put it in place whole.

    MLflow makes them in some forty migrations, and where one is cut short, none of its processes can go on from there.
    """
    import mlflow
    from mlflow import MlflowClient

    for left in (*path.parent.glob(f"{path.name}.*partial*"), *path.parent.glob(f"{path.name}-*")):
        left.unlink()  # by a process that was killed, or the log of a database that was deleted
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")  # MLflow takes a name it knows for made
    mlflow.set_tracking_uri(_uri(partial))
    MlflowClient().search_experiments(max_results=1)
    _close()
    partial.replace(path)


def _with_experiment(name: str, artifacts: str | None) -> Store:
    from mlflow import MlflowClient

    client = MlflowClient()
    found = client.get_experiment_by_name(name)
    if found is None:
        made = client.create_experiment(name, artifacts)
        return Store(client, made)
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return Store(client, found.experiment_id)


@contextmanager
def run_of(
    store: Store, name: str, digest: str, parent: str | None, times: tuple[int, int] | None = None
) -> Iterator[tuple[str, bool]]:
    """Yield (run id, whether it is new) for a record; a new run is finished after everything has been sent.

    ``times`` are its start and its end in milliseconds since 1970; without them, the times of sending.

    An unfinished run (MLflow stopped, the process died) is deleted and sent again.
    """
    wanted = f"tags.`{RECORD_TAG}` = '{digest}'"
    wanted += f" and tags.`{PARENT_TAG}` = '{parent}'" if parent else ""
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        if run.info.status == "FINISHED":
            yield run.info.run_id, False
            return
        _delete(store, run.info.run_id)
    tags = {RECORD_TAG: digest, **({PARENT_TAG: parent} if parent else {}), **_source(name)}
    start, end = times or (None, None)
    run_id = store.client.create_run(store.experiment, start_time=start, tags=tags, run_name=name).info.run_id
    yield run_id, True
    store.client.set_terminated(run_id, end_time=end)


def _source(name: str) -> dict[str, str]:
    """Return what MLflow shows as user and source of a run."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in a container
        user = str(os.getuid())
    experiment = os.environ.get("DVC_EXP_NAME")  # which `dvc exp run` sets
    named = {"dvc.experiment": experiment} if experiment else {}
    return {**named, "mlflow.user": user, "mlflow.source.name": f"shearbench: {name}", "mlflow.source.type": "LOCAL"}


def restore_files(store: Store, run_id: str, content: "Content") -> None:
    """Send the files of a finished run again that somebody has deleted from the default store."""
    place = store.client.get_run(run_id).info.artifact_uri
    if place.startswith("file:"):
        folder = Path(url2pathname(urlsplit(place).path))
        for file in content.files:
            if not (folder / _folder_of(file) / file.name).is_file():
                store.client.log_artifact(run_id, str(file), _folder_of(file) or None)


def _folder_of(file: Path) -> str:
    """Return the folder among a run's artifacts in which a file goes."""
    return "figures" if file.suffix == ".png" else ""


def _delete(store: Store, run_id: str) -> None:
    """Delete a run and those nested beneath it."""
    nested = store.client.search_runs([store.experiment], filter_string=f"tags.`{PARENT_TAG}` = '{run_id}'")
    for each in (run_id, *(run.info.run_id for run in nested)):
        store.client.delete_run(each)


def supersede(store: Store, name: str, run_id: str) -> None:
    """Mark the other runs of a name, so that the one of the present results can be told from them."""
    store.client.set_tag(run_id, SUPERSEDED_TAG, "no")
    wanted = f"tags.`{SUPERSEDED_TAG}` = 'no' and attributes.run_id != '{run_id}'"
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        if run.info.run_name == name:  # not asked for in the query: a folder's name may hold quotes
            store.client.set_tag(run.info.run_id, SUPERSEDED_TAG, "yes")


def log(store: Store, run_id: str, content: "Content") -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    steps = [(name, value, 0) for name, value in content.metrics.items()]
    steps += [(name, value, step) for name, step, value in content.curves]
    metrics = [Metric(name, value, content.clock.get(step, now), step) for name, value, step in steps]
    params = [Param(name, str(value)) for name, value in content.params.items()]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    store.client.log_batch(run_id, metrics[:_MOST_METRICS], params, tags)
    for start in range(_MOST_METRICS, len(metrics), _MOST_METRICS):
        store.client.log_batch(run_id, metrics[start : start + _MOST_METRICS])
    for file in content.files:
        store.client.log_artifact(run_id, str(file), _folder_of(file) or None)


def log_input(store: Store, run_id: str, name: str, content_hash: str, context: str) -> None:
    """Name the data that a run used by its content hash; MLflow's own digest samples rows and misses changes."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = f'{{"path": "build/datasets/{name}"}}'
    used = Dataset(name, content_hash[:36], "local", source)  # 36: the longest digest MLflow takes
    store.client.log_inputs(run_id, [DatasetInput(used, [InputTag("mlflow.data.context", context)])])

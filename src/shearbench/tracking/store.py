"""The MLflow store: open it, check it, and send records to it, one run each.

The default store lies in the project's folder, which may be moved although MLflow stores absolute paths.
"""

import getpass
import logging
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rich.console import Console
from rich.markup import escape

from shearbench.errors import without_secrets
from shearbench.records import locked

if TYPE_CHECKING:
    from shearbench.predictions.contents import Content, Node

EXPERIMENT = "shearbench"
ABLATIONS = "shearbench-ablations"
RECORD_TAG = "shearbench.record"
PARENT_TAG = "mlflow.parentRunId"
SUPERSEDED_TAG = "shearbench.superseded"
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a URL may contain a login
}
_PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Tables and columns of MLflow's database with paths of artifacts."""
_COPIES_OF_DVC = (".dvc", "tmp", "exps")


def home(root: Path) -> Path:
    """Return the project that stores the results of a folder: itself, or the original of a copy made by DVC."""
    parts, length = root.resolve().parts, len(_COPIES_OF_DVC)
    for place in range(len(parts) - length):
        if parts[place : place + length] == _COPIES_OF_DVC:
            return Path(*parts[:place])
    return root.resolve()


def database(root: Path) -> Path:
    return home(root) / "mlruns" / "mlflow.db"


def artifacts_uri(root: Path) -> str:
    return (home(root) / "mlruns" / "artifacts").as_uri()


def follow_move(root: Path) -> None:
    """Update the paths in the store if its folder has been moved, renamed or copied."""
    here = artifacts_uri(root)
    query = "select distinct artifact_location from experiments where name like 'shearbench%'"
    with closing(sqlite3.connect(database(root))) as connection:
        for (there,) in connection.execute(query).fetchall():
            if there != here:
                _replace(connection, there, here)
        connection.commit()


def _replace(connection: sqlite3.Connection, there: str, here: str) -> None:
    tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    for table in _PLACES.keys() & tables:
        for column in _PLACES[table]:
            # substr instead of LIKE: `_` and `%` in a folder's name are wildcards of LIKE.
            condition = f"{column} = ? or substr({column}, 1, ?) = ?"
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where {condition}",
                (here, len(there) + 1, there, len(there) + 1, f"{there}/"),
            )


class TrackingFailed(RuntimeError):
    """MLflow cannot accept records; the message has the reason."""


@dataclass(frozen=True)
class Store:
    """An open MLflow store, and the id of the experiment in it."""

    client: Any
    experiment: str


def attempt(root: Path, uri: str, send: Callable[[Store], object], *, experiment: str = EXPERIMENT) -> bool:
    """Call ``send`` with the open store.

    Return False, after a warning, if the store fails; the results are on disk in any case. Only one process of a
    project sends at a time, so that two processes never create the same database or run.
    """
    try:
        with _mlflow(), locked(home(root) / "mlruns" / ".lock"):
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


def condition(root: Path, uri: str) -> str:
    """Return the condition of the store of ``tracking.uri`` as text, without changing it.

    Raises:
        TrackingFailed: if the store cannot accept results, with the fix.
    """
    if uri == "off":
        return "tracking.uri is off in params.yaml: nothing is sent"
    if uri == "default":
        return _condition_of_database(root)
    with _mlflow():
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.MlflowClient().search_experiments(max_results=1)
    return f"{without_secrets(uri)} answers"


def _condition_of_database(root: Path) -> str:
    path = database(root)
    if not path.is_file():
        return f"no store yet; the first result makes {path}"
    query = "select artifact_location from experiments where name = ?"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
            (check,) = connection.execute("pragma quick_check").fetchone()
            places = connection.execute(query, (EXPERIMENT,)).fetchall()
            (runs,) = connection.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()
    except (sqlite3.Error, TypeError) as error:  # TypeError: a required row is missing
        raise TrackingFailed(
            f"{path} is not a sound MLflow database ({error}); move it away, and a new one is made"
        ) from None
    if check != "ok":
        raise TrackingFailed(f"{path} is damaged ({check}); move it away, and a new one is made")
    moved = any(place != artifacts_uri(root) for (place,) in places)
    note = "; made in another folder: the next `shearbench track` corrects its paths" if moved else ""
    return f"{path}: {runs} runs{note}"


@contextmanager
def _mlflow() -> Iterator[None]:
    """Configure MLflow for the block.

    Raises:
        TrackingFailed: if the store fails in the block, with the first line of its message.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)  # set before the import of mlflow, which reads some of them once
    from mlflow.exceptions import MlflowException
    from sqlalchemy import Engine, event
    from sqlalchemy.exc import SQLAlchemyError

    event.listen(Engine, "connect", _write_ahead)  # SQLAlchemy ignores duplicates
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        first_line = (str(error).splitlines() or [""])[0]
        raise TrackingFailed(without_secrets(f"{type(error).__name__}: {first_line:.300}")) from error


def _write_ahead(connection: object, _record: object) -> None:
    """Use a write-ahead log in SQLite, so that the thousands of commits of MLflow do not wait for the disk.

    A crash damages nothing. A power failure may undo the last commits before `_close` writes them to the disk.
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
    return f"sqlite:///{str(path).replace('%', '%25')}"  # % starts a quoted character for MLflow


def default_uri(root: Path) -> str:
    return _uri(database(root))


def _open(root: Path, uri: str, experiment: str) -> Store:
    """Open the store; create its database and the experiment if they are missing."""
    import mlflow

    if uri == "default":
        if not database(root).exists():
            _make_database(database(root))
        follow_move(root)
    mlflow.set_tracking_uri(default_uri(root) if uri == "default" else uri)
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return Store(client, client.create_experiment(experiment, artifacts_uri(root) if uri == "default" else None))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return Store(client, found.experiment_id)


def _make_database(path: Path) -> None:
    """Create MLflow's tables in another file, then rename it.

    MLflow creates them in about forty migrations, and cannot continue after an interrupted one.
    """
    import mlflow

    for left in (*path.parent.glob(f"{path.name}.*partial*"), *path.parent.glob(f"{path.name}-*")):
        left.unlink()  # left by a killed process, or the log of a deleted database
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.partial")  # a new name, because MLflow caches names
    mlflow.set_tracking_uri(_uri(partial))
    mlflow.MlflowClient().search_experiments(max_results=1)
    _close()
    partial.replace(path)


def send_node(store: Store, node: "Node", parent: str | None = None) -> str:
    """Send a node and its children unless the store has them; restore deleted files. Return the id of its run.

    An earlier run with the name of a node without parent is marked as superseded.
    """
    with _run_of(store, node, parent) as (run_id, is_new):
        if parent is None:
            _supersede(store, node.name, run_id)
        if is_new:
            _log(store, run_id, node.content)
        else:
            _restore_files(store, run_id, node.content)
        if is_new and parent and node.shown_by_parent:
            _log(store, parent, node.shown_by_parent)
        for child in node.children:
            send_node(store, child, run_id)
    return run_id


@contextmanager
def _run_of(store: Store, node: "Node", parent: str | None) -> Iterator[tuple[str, bool]]:
    """Yield (run id, whether it is new) for a record; a new run is marked as finished after the block.

    An unfinished run (MLflow stopped, the process died) is deleted and sent again.
    """
    wanted = f"tags.`{RECORD_TAG}` = '{node.digest}'"
    wanted += f" and tags.`{PARENT_TAG}` = '{parent}'" if parent else ""
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        if run.info.status == "FINISHED":
            yield run.info.run_id, False
            return
        nested = store.client.search_runs([store.experiment], f"tags.`{PARENT_TAG}` = '{run.info.run_id}'")
        for each in (run, *nested):
            store.client.delete_run(each.info.run_id)
    tags = {RECORD_TAG: node.digest, **({PARENT_TAG: parent} if parent else {}), **_source(node.name)}
    start, end = node.content.times or (None, None)
    run_id = store.client.create_run(store.experiment, start_time=start, tags=tags, run_name=node.name).info.run_id
    yield run_id, True
    store.client.set_terminated(run_id, end_time=end)


def _source(name: str) -> dict[str, str]:
    """Return the tags for user and source of a run in MLflow."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for the user id, as in a container
        user = str(os.getuid())
    experiment = os.environ.get("DVC_EXP_NAME")  # set by `dvc exp run`
    named = {"dvc.experiment": experiment} if experiment else {}
    return {**named, "mlflow.user": user, "mlflow.source.name": f"shearbench: {name}", "mlflow.source.type": "LOCAL"}


def _restore_files(store: Store, run_id: str, content: "Content") -> None:
    """Send files of a finished run again if they were deleted from the default store."""
    place = store.client.get_run(run_id).info.artifact_uri
    if place.startswith("file:"):
        folder = Path(url2pathname(urlsplit(place).path))
        for file in content.files:
            if not (folder / _folder_of(file) / file.name).is_file():
                store.client.log_artifact(run_id, str(file), _folder_of(file) or None)


def _folder_of(file: Path) -> str:
    return "figures" if file.suffix == ".png" else ""


def _supersede(store: Store, name: str, run_id: str) -> None:
    store.client.set_tag(run_id, SUPERSEDED_TAG, "no")
    wanted = f"tags.`{SUPERSEDED_TAG}` = 'no' and attributes.run_id != '{run_id}'"
    for run in store.client.search_runs([store.experiment], filter_string=wanted):
        if run.info.run_name == name:  # not part of the query, because names may contain quotes
            store.client.set_tag(run.info.run_id, SUPERSEDED_TAG, "yes")


def _log(store: Store, run_id: str, content: "Content") -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

    now = int(time.time() * 1000)
    steps = [(name, value, 0) for name, value in content.metrics.items()]
    steps += [(name, value, step) for name, step, value in content.curves]
    metrics = [Metric(name, value, content.clock.get(step, now), step) for name, value, step in steps]
    params = [Param(name, str(value)) for name, value in content.params.items()]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    store.client.log_batch(run_id, metrics, params, tags)
    for file in content.files:
        store.client.log_artifact(run_id, str(file), _folder_of(file) or None)
    if content.data:
        name, content_hash, context = content.data
        # MLflow's own digest samples rows and misses changes; the longest that it takes has 36 characters.
        used = Dataset(name, content_hash[:36], "local", f'{{"path": "build/datasets/{name}"}}')
        store.client.log_inputs(run_id, [DatasetInput(used, [InputTag("mlflow.data.context", context)])])

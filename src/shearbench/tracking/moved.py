"""The default store in the project's folder, wherever that is: MLflow writes absolute paths, and a project may move."""

import sqlite3
from pathlib import Path

_PLACES = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
"""Tables and columns of MLflow's database that hold paths of artifacts."""
_COPIES_OF_DVC = (".dvc", "tmp", "exps")


def home(root: Path) -> Path:
    """Return the project whose store takes a folder's results: its own, or the original of a copy that DVC runs in."""
    parts, length = root.resolve().parts, len(_COPIES_OF_DVC)
    for place in range(len(parts) - length):
        if parts[place : place + length] == _COPIES_OF_DVC:
            return Path(*parts[:place])
    return root.resolve()


def database(root: Path) -> Path:
    """Return where the default store keeps its runs."""
    return home(root) / "mlruns" / "mlflow.db"


def artifacts_uri(root: Path) -> str:
    """Return where the default store keeps its files."""
    return (home(root) / "mlruns" / "artifacts").as_uri()


def follow_move(root: Path) -> None:
    """Make the store's paths those of the folder that it lies in, if that has been moved, renamed or copied."""
    connection, here = sqlite3.connect(database(root)), artifacts_uri(root)
    try:
        asked = "select distinct artifact_location from experiments where name like 'shearbench%'"
        for (there,) in connection.execute(asked).fetchall():
            if there != here:
                _replace(connection, there, here)
        connection.commit()
    finally:
        connection.close()


def _replace(connection: sqlite3.Connection, there: str, here: str) -> None:
    tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    for table in _PLACES.keys() & tables:
        for column in _PLACES[table]:
            # substr instead of LIKE: `_` and `%` in a folder's name are wildcards of LIKE.
            mine = f"{column} = ? or substr({column}, 1, ?) = ?"
            connection.execute(
                f"update {table} set {column} = ? || substr({column}, ?) where {mine}",
                (here, len(there) + 1, there, len(there) + 1, f"{there}/"),
            )

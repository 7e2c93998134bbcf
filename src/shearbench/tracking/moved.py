"""The default store in the project's folder, which may be moved although MLflow stores absolute paths."""

import sqlite3
from contextlib import closing
from pathlib import Path

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

"""Check the MLflow store without changing it, for ``shearbench doctor``."""

import sqlite3
from pathlib import Path

from shearbench.errors import without_secrets
from shearbench.tracking.moved import artifacts_uri, database
from shearbench.tracking.store import EXPERIMENT, TrackingFailed, trying


def look(root: Path, uri: str) -> str:
    """Return the condition of the store of ``tracking.uri`` as text.

    Raises:
        TrackingFailed: if the store cannot accept results, with the fix.
    """
    if uri == "off":
        return "tracking.uri is off in params.yaml: nothing is sent"
    if uri == "default":
        return _look_at_database(root)
    with trying():
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.MlflowClient().search_experiments(max_results=1)
    return f"{without_secrets(uri)} answers"


def _look_at_database(root: Path) -> str:
    path = database(root)
    if not path.is_file():
        return f"no store yet; the first result makes {path}"
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
    try:
        (sound,) = connection.execute("pragma quick_check").fetchone()
        query = "select artifact_location from experiments where name = ?"
        places = connection.execute(query, (EXPERIMENT,)).fetchall()
        (runs,) = connection.execute("select count(*) from runs where lifecycle_stage = 'active'").fetchone()
    except (sqlite3.Error, TypeError) as error:  # TypeError: a required row is missing
        raise TrackingFailed(
            f"{path} is not a sound MLflow database ({error}); move it away, and a new one is made"
        ) from None
    finally:
        connection.close()
    if sound != "ok":
        raise TrackingFailed(f"{path} is damaged ({sound}); move it away, and a new one is made")
    moved = any(place != artifacts_uri(root) for (place,) in places)
    note = "; made in another folder: the next `shearbench track` corrects its paths" if moved else ""
    return f"{path}: {runs} runs{note}"

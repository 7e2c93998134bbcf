"""Which records MLflow has, and when DVC must run the stage ``track`` again.

MLflow's store is no output of DVC's. Each complete transfer writes the state of store and records to ``mlruns/sent``.
The output of ``track`` is ``build/tracked.txt``. The stage ``code`` removes it if that state is no longer the present
one: the store is gone or another one, or a record is new. So DVC skips ``track`` as long as MLflow has everything.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shearbench import yaml12

_RECORD = "record.json"  # `records.RECORD`; that module imports NumPy, and the stage `code` is to start at once
_RECORDS = (
    *(f"build/{part}/*/*/{_RECORD}" for part in ("evaluation", "tuning/results")),
    *(f"build/{part}/*/{_RECORD}" for part in ("ablation_results", "handwriting")),
    *(f"build/runs/*/*/*/{_RECORD}", f"build/comparison/{_RECORD}", "build/explore/*/summary.json"),
    *("reports/comparison.json", "reports/index.html"),
)
File = tuple[str, int, int]
"""Path, modification time in nanoseconds and size of a record."""


def mark(root: Path) -> Path:
    """Return the path of the state at the end of the last complete transfer."""
    return root / "mlruns" / "sent"


def tracked(root: Path) -> Path:
    """Return the path of the output of the stage ``track``. Its content is constant."""
    return root / "build" / "tracked.txt"


def files(root: Path) -> list[File]:
    """Return every record that MLflow gets."""
    found: list[File] = []
    for path in (path for pattern in _RECORDS for path in sorted(root.glob(pattern))):
        with suppress(FileNotFoundError):  # a stage has just removed it
            facts = path.stat()
            found.append((str(path.relative_to(root)), facts.st_mtime_ns, facts.st_size))
    return found


def state(root: Path, uri: str, records: Sequence[File]) -> str:
    """Return the state of the store at ``uri`` that has ``records``."""
    return hashlib.sha256(repr((uri, (root / "mlruns" / "mlflow.db").exists(), *records)).encode()).hexdigest()


def is_complete(root: Path, uri: str) -> bool:
    """Return True if the store at ``uri`` has all records, or if ``uri`` is ``off``."""
    path = mark(root)
    return uri == "off" or (path.is_file() and path.read_text() == state(root, uri, files(root)))


def remove_if_outdated(root: Path) -> None:
    """Remove the output of ``track`` unless the store of ``params.yaml`` has all records."""
    _, params = yaml12.read(root / "params.yaml")
    tracking = params.get("tracking")
    uri = tracking.get("uri") if isinstance(tracking, dict) else None  # `track` reports a fault in it
    if not is_complete(root, str(uri)):
        tracked(root).unlink(missing_ok=True)

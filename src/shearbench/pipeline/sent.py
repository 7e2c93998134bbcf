"""The mark ``mlruns/sent``: the records that MLflow had at the end of the last complete transfer.

It is the output of the stage ``track``, so DVC skips that stage as long as nothing is new. MLflow's store itself is no
output of DVC's: the stage ``code`` removes the mark if the store is gone or another one, or a record has changed.
"""

import hashlib
from collections.abc import Sequence
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
    """Return the path of the mark."""
    return root / "mlruns" / "sent"


def files(root: Path) -> list[File]:
    """Return every record that MLflow gets."""
    paths = [path for pattern in _RECORDS for path in sorted(root.glob(pattern))]
    return [(str(path.relative_to(root)), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]


def state(root: Path, uri: str, records: Sequence[File]) -> str:
    """Return the content of the mark once the store at ``uri`` has ``records``."""
    return hashlib.sha256(repr((uri, (root / "mlruns" / "mlflow.db").exists(), *records)).encode()).hexdigest()


def is_complete(root: Path, uri: str) -> bool:
    """Return True if the store at ``uri`` had all present records at the end of the last transfer."""
    path = mark(root)
    return path.is_file() and path.read_text() == state(root, uri, files(root))


def remove_if_outdated(root: Path) -> None:
    """Remove the mark unless the store of ``params.yaml`` has all records."""
    _, params = yaml12.read(root / "params.yaml")
    if mark(root).is_file() and not is_complete(root, str(params["tracking"]["uri"])):
        mark(root).unlink()

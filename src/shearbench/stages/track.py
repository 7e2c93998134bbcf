"""Stage ``track``: send every new finished record to MLflow.

DVC always runs it, because MLflow's store is not an output of DVC. If nothing has changed since the last complete
transfer (``mlruns/sent``), it ends before MLflow is loaded. If MLflow cannot accept the records, the stage warns and
succeeds, and the next ``dvc repro`` tries again.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from rich import print
from rich.markup import escape

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import RECORD, hash_of, write_text

_RECORDS = (
    *(f"build/{part}/*/*/{RECORD}" for part in ("evaluation", "tuning/results")),
    *(f"build/{part}/*/{RECORD}" for part in ("ablation_results", "handwriting")),
    *(f"build/runs/*/*/*/{RECORD}", f"build/comparison/{RECORD}", "build/explore/*/summary.json"),
    *("reports/comparison.json", "reports/index.html"),
)
_SECONDS = 5.0  # between checks for new records


def main(params: Params, root: Path) -> None:
    """Send new records to MLflow, unless ``tracking.uri`` is ``off``."""
    if params.tracking.uri != "off" and _sent(root) != _state(params, root, _files(root)):
        send(params, root)


def send(params: Params, root: Path) -> bool:
    """Send all missing records to MLflow; return True if it has them all afterwards.

    Raises:
        InputError: if a record is damaged.
    """
    from shearbench.handwriting.output import nodes as handwriting
    from shearbench.tracking import mirror
    from shearbench.tuning.contents import nodes as searches

    files = _files(root)  # records that finish during the transfer are sent next time
    folders = sorted(record.parent for record in (root / "build" / "handwriting").glob(f"*/{RECORD}"))
    others = [node for folder in folders for node in handwriting(folder)]
    if not mirror.track_all(root, params, [*others, *searches(root / "build")]):
        return False
    path = root / "mlruns" / "sent"
    try:
        write_text(path, _state(params, root, files))
    except OSError as error:
        warning = f"MLflow has every record, but {path} cannot be written ({error.strerror}), so that every"
        print(f"[yellow]{escape(warning)} `dvc repro` looks again; make room for that file[/]")
    return True


def send_readers(params: Params, root: Path) -> bool:
    """Register the readers that ship with shearbench in MLflow; return True if that succeeded.

    Raises:
        InputError: if ``tracking.uri`` is ``off``.
    """
    from shearbench.tracking.models import send_readers as send
    from shearbench.tracking.store import attempt

    if params.tracking.uri == "off":
        raise InputError("--readers needs MLflow, but tracking.uri is off in params.yaml; set it to default")
    return attempt(root, params.tracking.uri, send)


def follow(params: Params, root: Path) -> None:
    """Send the records of each stage as it finishes, until Ctrl-C; records in replacement are sent when complete."""
    seen = ""
    while True:
        state = _state(params, root, _files(root))
        if state not in (seen, _sent(root)):
            seen = state
            try:
                if send(params, root):
                    print(f"{time.strftime('%H:%M:%S')} MLflow has every finished record")
            except InputError as error:
                print(f"{time.strftime('%H:%M:%S')} not sent yet: {error}")
        time.sleep(_SECONDS)


def _sent(root: Path) -> str:
    path = root / "mlruns" / "sent"
    return path.read_text() if path.is_file() else ""


def _state(params: Params, root: Path, files: Sequence[tuple[str, int, int]]) -> str:
    """Return a hash of the address of the store and of the times and sizes of records."""
    return hash_of([params.tracking.uri, (root / "mlruns" / "mlflow.db").exists(), *files])


def _files(root: Path) -> list[tuple[str, int, int]]:
    """Return path, time and size of every record."""
    paths = [path for pattern in _RECORDS for path in sorted(root.glob(pattern))]
    return [(str(path.relative_to(root)), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]

"""Stage ``track``: send every new finished record to MLflow.

DVC always runs it, because MLflow's store is not an output of DVC. If nothing has changed since the last complete
transfer (``mlruns/sent``), it ends before MLflow is loaded. If MLflow cannot accept the records, the stage warns and
succeeds, and the next ``dvc repro`` tries again.
"""

import time
from collections.abc import Iterator
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
    if params.tracking.uri != "off" and _sent(root) != _state(params, root):
        send(params, root)


def send(params: Params, root: Path) -> bool:
    """Send all missing records to MLflow; return True if it has them all afterwards.

    Raises:
        InputError: if a record is damaged.
    """
    from shearbench.handwriting.output import nodes as handwriting
    from shearbench.tracking import mirror
    from shearbench.tuning.contents import nodes as searches

    files = [*_files(root)]  # records that finish during the transfer are sent next time
    others = [
        node
        for record in sorted((root / "build" / "handwriting").glob(f"*/{RECORD}"))
        for node in handwriting(record.parent)
    ]
    if (root / "build" / "tuning" / "results").is_dir():
        others += searches(root / "build")
    complete = mirror.track_all(root, params, others)
    if complete:
        _note_sent(root, _state(params, root, files))
    return complete


def _note_sent(root: Path, state: str) -> None:
    """Write the state that was sent, so that the next call can skip it; print a warning if that fails."""
    path = root / "mlruns" / "sent"
    try:
        write_text(path, state)
    except OSError as error:
        warning = f"MLflow has every record, but {path} cannot be written ({error.strerror}), so that every"
        print(f"[yellow]{escape(warning)} `dvc repro` looks again; make room for that file[/]")


def send_readers(params: Params, root: Path) -> bool:
    """Register the readers that ship with shearbench in MLflow; return True if that succeeded.

    Raises:
        InputError: if ``tracking.uri`` is ``off``.
    """
    from shearbench.tracking import mirror

    if params.tracking.uri == mirror.OFF:
        raise InputError("--readers needs MLflow, but tracking.uri is off in params.yaml; set it to default")
    return mirror.track_readers(root, params)


def follow(params: Params, root: Path) -> None:
    """Send the records of each stage as it finishes, until Ctrl-C; records in replacement are sent when complete."""
    seen = ""
    while True:
        state = _state(params, root)
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


def _state(params: Params, root: Path, files: list[tuple[str, int, int]] | None = None) -> str:
    """Return a hash of the address of the store and of the times and sizes of all records."""
    return hash_of(
        [params.tracking.uri, (root / "mlruns" / "mlflow.db").exists(), *(_files(root) if files is None else files)]
    )


def _files(root: Path) -> Iterator[tuple[str, int, int]]:
    for pattern in _RECORDS:
        for path in sorted(root.glob(pattern)):
            facts = path.stat()
            yield str(path.relative_to(root)), facts.st_mtime_ns, facts.st_size

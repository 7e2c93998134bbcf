"""Stage ``track``: send every new finished record to MLflow.

If nothing has changed since the last complete transfer, it ends before MLflow is loaded. If MLflow cannot accept the
records, the stage warns and succeeds, and the next ``dvc repro`` tries again (``pipeline/sent.py``).
"""

import signal
import threading
import time
from pathlib import Path
from types import FrameType

from rich import print
from rich.markup import escape

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.pipeline.sent import files, is_complete, mark, state, tracked
from shearbench.records import RECORD, write_text

_SECONDS = 5.0  # between checks for new records


def main(params: Params, root: Path) -> None:
    """Send new records to MLflow, unless ``tracking.uri`` is ``off``; write ``build/tracked.txt``."""
    if not is_complete(root, params.tracking.uri):
        send(params, root)
    write_text(tracked(root), "The stage track has ended; mlruns/sent has what MLflow got.\n")


def send(params: Params, root: Path) -> bool:
    """Send all missing records to MLflow; return True if it has them all afterwards.

    Raises:
        InputError: if a record is damaged.
    """
    from shearbench.handwriting.output import nodes as handwriting
    from shearbench.tracking import mirror
    from shearbench.tuning.contents import nodes as searches

    records = files(root)  # records that finish during the transfer are sent next time
    folders = sorted(record.parent for record in (root / "build" / "handwriting").glob(f"*/{RECORD}"))
    others = [node for folder in folders for node in handwriting(folder)]
    if not mirror.track_all(root, params, [*others, *searches(root / "build")]):
        return False
    try:
        write_text(mark(root), state(root, params.tracking.uri, records))
    except OSError as error:
        warning = f"MLflow has every record, but {mark(root)} cannot be written ({error.strerror}), so that every"
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
    uri, seen, pressed = params.tracking.uri, "", threading.Event()

    def press(number: int, frame: FrameType | None) -> None:
        pressed.set()  # Python drops the exception if it is raised in a finaliser of one of MLflow's libraries
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, press)
    while not pressed.is_set():
        if not is_complete(root, uri) and (present := state(root, uri, files(root))) != seen:
            seen = present
            try:
                if send(params, root):
                    print(f"{time.strftime('%H:%M:%S')} MLflow has every finished record")
            except InputError as error:
                print(f"{time.strftime('%H:%M:%S')} not sent yet: {error}")
        pressed.wait(_SECONDS)
    raise KeyboardInterrupt

"""Run a task on a worker: fetch inputs by hash, run in a folder of its own, send the files back.

Inputs are cached by the worker in files named by their SHA-256. The cache may be deleted at any time; missing or
damaged files are requested again. A worker has the same ``identity`` as the machine of the command: all that affects
its numbers.
"""

import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import get_worker

from shearbench.code import NETWORKS, PACKAGE, hash_of_folder
from shearbench.errors import InputError
from shearbench.execution.calls import Call, reason_of
from shearbench.execution.files import FileContent, Item, below, moved, packed
from shearbench.records import hash_of, sha256_of

GPU = "GPU"
"""dask's resource of a worker with a GPU of its own."""
FOLDER = "SHEARBENCH_WORKER_FOLDER"
"""The environment variable with the folder of a worker for its cache and tasks."""
DONE, WANTED = "done", "wanted"
_PREFIX = "shearbench-"
_VERSIONS = ("torch", "numpy", "scipy", "numba")
_PATIENCE = 120.0  # seconds without a byte of the requested files
_BETWEEN_REPORTS = 0.2  # seconds
_stopped: set[str] = set()
_heard = 0.0


@cache
def identity() -> dict[str, str]:
    """Return the hashes of shearbench's and the user's code at the first call, and the versions."""
    code = {"code of shearbench": hash_of_folder(PACKAGE)[:12], "code of networks/": hash_of_folder(NETWORKS)[:12]}
    major, minor, _ = platform.python_version_tuple()
    return code | {"Python": f"{major}.{minor}"} | {name: version(name) for name in _VERSIONS}


def resource() -> str:
    """Return the name of the dask resource of workers with this identity; each offers one."""
    return _PREFIX + hash_of(identity())[:12]


def is_ours(resources: Mapping[str, float]) -> bool:
    """Return True if a worker was started by ``shearbench worker``, in any version."""
    return any(name.startswith(_PREFIX) for name in resources)


def differences(theirs: Mapping[str, str]) -> str:
    """Return the differences between a worker's identity and this machine's."""
    ours = identity()
    other = {name: theirs.get(name, "none") for name in ours if theirs.get(name) != ours[name]}
    return ", ".join(f"{name} {value} (here {ours[name]})" for name, value in other.items())


@dataclass(frozen=True, eq=False)
class TaskRequest:
    """A call for a worker: name of the run, index, call, inputs, and the required identity of the worker."""

    run: str
    index: int
    call: Call
    inputs: tuple[Item, ...]
    identity: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class TaskResponse:
    """The response of a worker: the result with the output files, or the failure, and the finished units."""

    result: Any = None
    files: tuple[FileContent, ...] = ()
    failure: str | None = None
    done: int = 0


class _Stopped(BaseException):
    """Raised if the user has stopped the run; a BaseException, so that tasks do not catch it."""


def perform(request: TaskRequest) -> TaskResponse:
    """Run a call in this worker; any failure is returned as text."""
    worker = get_worker()
    if request.identity != identity():  # the worker was restarted after a change of its code
        other = "; ".join(f"{name} {value}" for name, value in request.identity.items())
        return TaskResponse(
            failure=f"worker {worker.address} is refused: it has {differences(request.identity)} of {other}"
        )
    with _announced(request.call), tempfile.TemporaryDirectory(prefix="task-", dir=_folder("tasks")) as scratch:
        root, report = Path(scratch), _Report(request)
        try:
            _lay_out(request, root)
            result = request.call.function(moved(request.call.task, root), report.advance)
            return TaskResponse(result, tuple(packed(request.call.writes, root)), done=report.done)
        except _Stopped:
            return TaskResponse(failure="stopped")
        except Exception as error:  # noqa: BLE001  (every failure is reported, and other tasks continue)
            return TaskResponse(failure=reason_of(error, traceback.format_exc()).replace(f"{root}/", "/"))


def receive(sha256: str, offset: int, size: int, chunk: bytes) -> None:
    """Receive a part of a requested file of ``size`` bytes; after the last part, add the file to the cache."""
    global _heard
    _heard = time.monotonic()
    part = _folder("inputs") / f".{sha256}.{os.getpid()}.part"
    with part.open("r+b" if offset else "wb") as file:
        file.seek(offset)
        file.write(chunk)
    if offset + len(chunk) == size:
        if sha256_of(part) != sha256:
            part.unlink()
            raise InputError("a file changed while it was sent to a worker; run the same command again")
        part.replace(part.with_name(sha256))


def stop(run: str) -> None:
    """Stop the tasks of a run at their next progress report."""
    _stopped.add(run)


def _lay_out(request: TaskRequest, root: Path) -> None:
    """Link the inputs from the cache to the paths of the task."""
    missing = sorted({item.sha256 for item in request.inputs if not _is_cached(item.sha256)})
    if missing:
        _request(request, missing)
    for item in request.inputs:
        place = below(root, item.path)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(_folder("inputs") / item.sha256, place)


def _request(request: TaskRequest, missing: list[str]) -> None:
    """Request files from the machine of the command, and wait for them.

    Raises:
        InputError: if no part arrives within ``_PATIENCE`` seconds.
    """
    global _heard
    _heard = time.monotonic()
    worker = get_worker()
    worker.log_event(request.run, [WANTED, request.index, worker.address, missing])
    while not all((_folder("inputs") / name).is_file() for name in missing):
        if request.run in _stopped:
            raise _Stopped
        if time.monotonic() - _heard > _PATIENCE:
            raise InputError(f"its inputs did not reach worker {worker.address} within {_PATIENCE:.0f} s; run again")
        time.sleep(0.02)


def _is_cached(sha256: str) -> bool:
    path = _folder("inputs") / sha256
    if path.is_file() and sha256_of(path) == sha256:
        return True
    path.unlink(missing_ok=True)
    return False


@contextmanager
def _announced(call: Call) -> Iterator[None]:
    """Print the start and the end of a call, for the user of this machine."""
    name, began = f"{call.function.__module__}.{call.function.__qualname__}", time.monotonic()
    print(f"begins: {name}", file=sys.stderr, flush=True)
    yield
    print(f"ended after {time.monotonic() - began:.1f} s: {name}", file=sys.stderr, flush=True)


def _folder(name: str) -> Path:
    folder = Path(os.environ[FOLDER]) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class _Report:
    """Counts and reports the finished units of a task, with limited frequency; ends the task if the run was stopped."""

    def __init__(self, request: TaskRequest) -> None:
        self.request, self.done, self.reported = request, 0, 0.0

    def advance(self, units: int) -> None:
        if self.request.run in _stopped:
            raise _Stopped
        self.done += units
        if time.monotonic() - self.reported > _BETWEEN_REPORTS:
            get_worker().log_event(self.request.run, [DONE, self.request.index, self.done])
            self.reported = time.monotonic()

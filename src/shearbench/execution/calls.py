"""Types shared by local and cluster execution: calls, their results, and workers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from shearbench.errors import InputError, TasksFailed

Advance = Callable[[int], None]
Show = Callable[[int], None]
"""Sets the number of finished units of all calls."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a dask scheduler; ``workers`` limits the simultaneous tasks, ``"auto"`` uses all workers.

    With ``gpu`` a task needs a worker with a GPU of its own.
    """

    scheduler: str
    workers: int | Literal["auto"] = "auto"
    gpu: bool = False


Workers = int | Literal["auto"] | Cluster


@dataclass(frozen=True, eq=False)
class Call:
    """``function(task, advance)`` with its input and output files and folders."""

    function: Callable[[Any, Advance], Any]
    task: Any
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class TaskResult:
    """Results, reasons of failures, and reasons of repeated deaths of a process, by the index of the call."""

    results: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    died: dict[int, str] = field(default_factory=dict)


def require_dask() -> None:
    """Raise InputError if dask is not installed."""
    if find_spec("distributed") is None:
        raise InputError("a cluster needs dask, which is not installed; run: pip install 'shearbench[dask]'")


def reason_of(error: BaseException, trace: object) -> str:
    """Return why a task failed: the message for errors of the user, otherwise with traceback."""
    if isinstance(error, InputError | TasksFailed):
        return str(error)
    return f"{type(error).__name__}: {error}\n{trace or ''}".rstrip()

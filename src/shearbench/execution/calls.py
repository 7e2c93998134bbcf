"""The words that the engines share: a call, what became of all calls, and who is to do them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shearbench.errors import InputError, TasksFailed

Advance = Callable[[int], None]
Show = Callable[[int], None]
"""Sets how many units of all calls are done."""


@dataclass(frozen=True)
class Cluster:
    """The workers of a dask scheduler; ``workers`` bounds the tasks at once, ``"auto"`` uses all there are.

    With ``gpu`` a task needs a worker that has one to itself.
    """

    scheduler: str
    workers: int | Literal["auto"] = "auto"
    gpu: bool = False


Workers = int | Literal["auto"] | Cluster


@dataclass(frozen=True, eq=False)
class Call:
    """``function(task, advance)``, and the files and folders that it reads and writes."""

    function: Callable[[Any, Advance], Any]
    task: Any
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False)
class TaskResult:
    """By the index of the call: results, why it failed, or why its process died again and again."""

    results: dict[int, Any] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    died: dict[int, str] = field(default_factory=dict)


def reason_of(error: BaseException, trace: object) -> str:
    """Return why a task failed: in a sentence where it is for the user, with the traceback where it is a fault."""
    if isinstance(error, InputError | TasksFailed):
        return str(error)
    return f"{type(error).__name__}: {error}\n{trace or ''}".rstrip()

"""Shared by local and cluster execution: calls, their results, workers, the progress bar, and a stop by the user."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from shearbench.errors import NEXT_STEPS, InputError, TasksFailed, explain

Advance = Callable[[int], None]
Show = Callable[[int], None]
"""Sets the number of finished units of all calls."""
_POLL_SECONDS = 0.2


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
    if find_spec("distributed") is None:
        raise InputError("a cluster needs dask, which is not installed; run: pip install 'shearbench[dask]'")


def reason_of(error: BaseException, trace: object) -> str:
    """Return why a task failed: the message for errors of the user, otherwise with traceback."""
    if isinstance(error, InputError | TasksFailed):
        return str(error)
    if isinstance(error, OSError) and error.errno in NEXT_STEPS:  # of the disk, such as a folder that cannot be made
        return explain(error)
    return f"{type(error).__name__}: {error}\n{trace or ''}".rstrip()


def speed_of(task: Task) -> float | None:
    """Return the units per second since the start, None before the first.

    Rich's own speed is that of the last 30 seconds, in which all workers may finish an epoch together, or none.
    """
    done = task.completed - task.fields["before"]
    return done / task.elapsed if done and task.elapsed else None


class _RateColumn(ProgressColumn):
    """Units per second, or seconds per unit if the speed is below 1."""

    def render(self, task: Task) -> Text:
        speed = speed_of(task)
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


class _LeftColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = speed_of(task)
        left = timedelta(seconds=math.ceil((task.remaining or 0) / speed)) if speed else "-:--:--"
        return Text(f"left {left}")


@contextmanager
def progress_bar(label: str, before: int, total: int) -> Iterator[Show]:
    """Show a progress bar with ``before`` units done earlier; yield a function that sets the units done since."""
    columns = (MofNCompleteColumn, _RateColumn, TimeElapsedColumn, _LeftColumn)
    numbers = [column(table_column=Column(no_wrap=True)) for column in columns]  # a narrow terminal shortens the bar
    with Progress(TextColumn("{task.description}"), BarColumn(), *numbers, console=Console(stderr=True)) as progress:
        bar = progress.add_task(label, total=total, completed=before, before=before)
        yield lambda done: progress.update(bar, completed=before + done)


@cache
def end_with_parent(parent: int, by: signal.Signals) -> None:
    """Send this process a signal soon after its parent has ended for any reason."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os.kill(os.getpid(), by)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal like Ctrl-C, so that workers are ended and finished results are kept.

    A process that ignores a closed terminal, as under ``nohup``, still ignores it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    stops = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {each: signal.signal(each, interrupt) for each in stops}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)

"""Tasks over the cores of a machine: one process a core, one thread each, so that a number never depends on the load.

The only file that imports joblib (whose ``loky`` executor it uses). A task is a picklable function of one argument
and an ``advance`` callback; its result comes back in the order of the tasks, whatever the number of workers.
A task that raises, or whose process dies, does not stop the others.
"""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import joblib
from joblib.externals.loky import ProcessPoolExecutor
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from shearbench.errors import InputError, TasksFailed

T = TypeVar("T")
R = TypeVar("R")
Advance = Callable[[int], None]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
_ONE_THREAD = dict.fromkeys(_THREADS, "1")
_POLL_SECONDS = 0.2


def worker_count(workers: int | str) -> int:
    """Return the number of processes that ``workers`` asks for; ``"auto"`` is one for each usable core."""
    return int(joblib.cpu_count()) if workers == "auto" else int(workers)


def run_tasks(
    function: Callable[[T, Advance], R],
    tasks: Sequence[T],
    *,
    workers: int | str,
    label: str,
    name: Callable[[T], str] = str,
    units: Callable[[T], int] = lambda _: 1,
    among: tuple[int, int] | None = None,
) -> list[R]:
    """Run ``function(task, advance)`` for every task, in separate single-threaded processes.

    Args:
        function: a module-level function. It calls ``advance(n)`` as it finishes ``n`` of its units.
        tasks: picklable arguments, one a task.
        workers: number of processes, or ``"auto"``. One worker is a separate process too: same bits.
        label: what the progress bar calls the work.
        name: how a task is called in messages.
        units: how many units of progress a task has.
        among: the units of a longer work that were done before, and that it has in all; these tasks are a part of it.

    Returns:
        The results, in the order of ``tasks``.

    Raises:
        TasksFailed: when all others have finished, naming each task that raised or whose process died.
        KeyboardInterrupt: on Ctrl-C, after the workers have been ended.
    """
    if not tasks:
        return []
    results: dict[int, R] = {}
    failures: dict[int, str] = {}
    died: dict[int, str] = {}
    before, total = among or (0, sum(map(units, tasks)))
    with tempfile.TemporaryDirectory(prefix="shearbench-progress-") as folder:
        paths = [Path(folder) / str(index) for index in range(len(tasks))]
        with _progress_bar(label, before, total, paths), _terminate_as_interrupt():
            calls = [(function, task, path) for task, path in zip(tasks, paths, strict=True)]
            lost = _attempt(calls, range(len(tasks)), worker_count(workers), results, failures)
            for index in lost:  # a process died: find out whose it was by running the rest one at a time
                if _attempt(calls, [index], 1, results, failures):
                    died[index] = "its process died twice (killed, out of memory, or a crash in native code)"
    failures |= died
    if failures:
        summary = _summary(label, failures, [name(task) for task in tasks])
        raise TasksFailed(summary, results=results, died=died)
    return [results[index] for index in range(len(tasks))]


def _attempt(
    calls: Sequence[tuple[Any, Any, Path]],
    indexes: Sequence[int],
    workers: int,
    results: dict[int, Any],
    failures: dict[int, str],
) -> list[int]:
    """Run the calls at ``indexes``; fill results and failures; return the indexes lost with a dead process."""
    executor = ProcessPoolExecutor(min(workers, len(indexes)), env=_ONE_THREAD)
    lost = []
    try:
        futures: dict[Future[Any], int] = {executor.submit(_call, *calls[index]): index for index in indexes}
        for future in as_completed(futures):
            index = futures[future]
            error = future.exception()
            if error is None:
                results[index] = future.result()
            elif isinstance(error, BrokenProcessPool):
                lost.append(index)
            elif isinstance(error, InputError | TasksFailed):
                failures[index] = str(error)
            else:
                failures[index] = f"{type(error).__name__}: {error}\n{error.__cause__ or ''}".rstrip()
    except BaseException:
        executor.shutdown(wait=False, kill_workers=True)
        raise
    executor.shutdown(wait=True)
    return sorted(lost)


def _call(function: Callable[[T, Advance], R], task: T, progress: Path) -> R:
    """Run one task in a worker, whose terminal signals are its parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with progress.open("ab", buffering=0) as file:

        def advance(units: int) -> None:
            file.write(b"." * units)

        return function(task, advance)


def _summary(label: str, failures: dict[int, str], names: list[str]) -> str:
    lines = [f"{label}: {len(failures)} of {len(names)} tasks failed; the finished ones are kept. Run again to resume."]
    return "\n".join(lines + [f"- {names[index]}: {failures[index]}" for index in sorted(failures)])


class _RateColumn(ProgressColumn):
    """Units a second, or seconds a unit where that is the larger number."""

    def render(self, task: Task) -> Text:
        """Return the text of one bar."""
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:.1f} s each")


@contextmanager
def _progress_bar(label: str, before: int, total: int, paths: Sequence[Path]) -> Iterator[None]:
    """Show a bar that counts the bytes in ``paths``: a worker writes one for each unit it has done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    done = threading.Event()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(label, total=total, completed=before)

        def follow() -> None:
            finished = False
            while not finished:
                finished = done.wait(_POLL_SECONDS)
                written = sum(path.stat().st_size for path in paths if path.exists())
                progress.update(bar, completed=before + written)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM like Ctrl-C, so that a scheduler's stop also ends the workers and keeps what is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)

"""Run tasks on the cores of a machine or of a cluster, with one thread each, so that results do not depend on load.

Only this package imports joblib (for its ``loky`` executor, ``local.py``) or dask (``cluster.py``, ``remote.py``,
``worker.py``). Machines of a cluster share no disk, so a task declares the files that it reads and writes. Inputs are
sent by hash; outputs are sent back with the result and written to the paths of the task.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from shearbench.errors import TasksFailed
from shearbench.execution import local
from shearbench.execution.calls import (
    Advance,
    Call,
    Cluster,
    Show,
    TaskResult,
    Workers,
    progress_bar,
    require_dask,
    terminate_as_interrupt,
)
from shearbench.execution.local import spare_workers, worker_count

__all__ = ["Advance", "Cluster", "Workers", "run_tasks", "spare_workers", "worker_count"]

T = TypeVar("T")
R = TypeVar("R")


def run_tasks(
    function: Callable[[T, Advance], R],
    tasks: Sequence[T],
    *,
    workers: Workers,
    label: str,
    name: Callable[[T], str] = str,
    units: Callable[[T], int] = lambda _: 1,
    among: tuple[int, int] | None = None,
    reads: Callable[[T], Iterable[Path]] = lambda _: (),
    writes: Callable[[T], Iterable[Path]] = lambda _: (),
) -> list[R]:
    """Run ``function(task, advance)`` for every task, in separate single-threaded processes.

    If a task raises or its process dies, the other tasks continue.

    Args:
        function: a module-level function. It calls ``advance(n)`` after each ``n`` finished units.
        tasks: picklable arguments, one per task: a path, or a dataclass with paths as fields.
        workers: number of processes, or ``"auto"``, or a cluster. One worker is a separate process too: same bits.
        label: text of the progress bar.
        name: returns the name of a task for messages.
        units: returns the number of progress units of a task.
        among: (finished, total) units of a longer computation that includes these tasks.
        reads: returns the input files and folders of a task; missing ones are not sent.
        writes: returns the output files and folders of a task in the order of writing, records last.

    Returns:
        The results, in the order of ``tasks``.

    Raises:
        TasksFailed: after all others have finished, naming each task that raised or lost its process.
        InputError: if the cluster does not answer, has no worker of this version, or the connection is lost.
        KeyboardInterrupt: on Ctrl-C, after the workers have been ended.
    """
    if not tasks:
        return []
    calls = [Call(function, task, tuple(reads(task)), tuple(writes(task))) for task in tasks]
    before, total = among or (0, sum(map(units, tasks)))
    with progress_bar(label, before, total) as show, terminate_as_interrupt():
        task_result = _run(calls, workers, show)
    failures = task_result.failures | task_result.died
    if failures:
        summary = _summary(label, failures, [name(task) for task in tasks])
        raise TasksFailed(summary, results=task_result.results, died=task_result.died)
    return [task_result.results[index] for index in range(len(tasks))]


def _run(calls: Sequence[Call], workers: Workers, show: Show) -> TaskResult:
    if not isinstance(workers, Cluster):
        return local.run(calls, workers, show)
    require_dask()
    from shearbench.execution import cluster

    return cluster.run(calls, workers, show)


def _summary(label: str, failures: dict[int, str], names: list[str]) -> str:
    header = f"{label}: {len(failures)} of {len(names)} tasks failed; the others are stored. Run again to resume."
    return "\n".join([header, *(f"- {names[index]}: {failures[index]}" for index in sorted(failures))])

"""Tasks over the cores of a machine or the machines of a cluster, one thread each: a number never depends on the load.

The only package that imports joblib (for its ``loky`` executor, ``local.py``) or dask (``cluster.py``, ``worker.py``).
A task is a picklable function of one argument and an ``advance`` callback; its result comes back in the order of the
tasks, whatever the number of workers. A task that raises, or whose process dies, does not stop the others.

Machines of a cluster share no disk. So a task says which files it reads and which it writes: the former travel by
their hash, the latter come back with the result and are put where the task would have written them.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from shearbench.errors import TasksFailed
from shearbench.execution import cluster, local
from shearbench.execution.calls import Advance, Call, Cluster, Workers
from shearbench.execution.local import worker_count
from shearbench.execution.progress import progress_bar, terminate_as_interrupt

__all__ = ["Advance", "Cluster", "Workers", "run_tasks", "worker_count"]

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

    Args:
        function: a module-level function. It calls ``advance(n)`` as it finishes ``n`` of its units.
        tasks: picklable arguments, one a task. Their paths are fields of their own, or the task is one path.
        workers: number of processes, or ``"auto"``, or a cluster. One worker is a separate process too: same bits.
        label: what the progress bar calls the work.
        name: how a task is called in messages.
        units: how many units of progress a task has.
        among: the units of a longer work that were done before, and that it has in all; these tasks are a part of it.
        reads: files and folders that a task needs; what does not exist is left to the task.
        writes: files and folders that a task leaves, in the order in which they must appear: what vouches for others
            is named last.

    Returns:
        The results, in the order of ``tasks``.

    Raises:
        TasksFailed: when all others have finished, naming each task that raised or whose process died.
        InputError: if the cluster does not answer, has no worker of this version, or is lost on the way.
        KeyboardInterrupt: on Ctrl-C, after the workers have been ended.
    """
    if not tasks:
        return []
    calls = [Call(function, task, tuple(reads(task)), tuple(writes(task))) for task in tasks]
    before, total = among or (0, sum(map(units, tasks)))
    with progress_bar(label, before, total) as show, terminate_as_interrupt():
        task_result = (
            cluster.run(calls, workers, show) if isinstance(workers, Cluster) else local.run(calls, workers, show)
        )
    failures = task_result.failures | task_result.died
    if failures:
        summary = _summary(label, failures, [name(task) for task in tasks])
        raise TasksFailed(summary, results=task_result.results, died=task_result.died)
    return [task_result.results[index] for index in range(len(tasks))]


def _summary(label: str, failures: dict[int, str], names: list[str]) -> str:
    lines = [f"{label}: {len(failures)} of {len(names)} tasks failed; the finished ones are kept. Run again to resume."]
    return "\n".join(lines + [f"- {names[index]}: {failures[index]}" for index in sorted(failures)])

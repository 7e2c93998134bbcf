"""Run calls on the cores of this machine, in processes of joblib's ``loky`` or forked ones."""

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures as standard
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import threadpoolctl

from shearbench.execution import memory
from shearbench.execution.calls import Call, Cluster, Show, TaskResult, Workers, end_with_parent, reason_of

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
ONE_THREAD = dict.fromkeys(_THREADS, "1")
"""The environment of a worker."""
_POLL_SECONDS = 0.2
_MEMORY = 1.2e9  # bytes per worker; resnet18 with batches of 100 takes about 1 GB
_GPU = Path("/dev/nvidiactl")
_LONE_TRIES = 2  # a death in a shared pool loses all its calls; alone, the task itself is the cause


class ForkedPool(standard.ProcessPoolExecutor):
    """A pool of forked workers, which need no imports; they use one thread like other workers."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers, mp_context=multiprocessing.get_context("fork"), initializer=_settle)

    def shutdown(self, wait: bool = True, *, kill_workers: bool = False, cancel_futures: bool = False) -> None:
        """Shut down the workers; with ``kill_workers`` cancel the calls that have not started.

        With ``kill_workers`` and without ``wait`` end running calls too, so that no worker holds a lock afterwards.
        """
        processes = list((self._processes or {}).values())
        super().shutdown(wait, cancel_futures=cancel_futures or kill_workers)
        if kill_workers and not wait:
            for process in processes:
                process.kill()
            for process in processes:
                process.join()


def _pool(workers: int) -> Any:
    if os.environ.get("SHEARBENCH_FORKED") and not _GPU.exists():  # CUDA does not survive a fork
        return ForkedPool(workers)
    from joblib.externals.loky import ProcessPoolExecutor  # slow to import, and every command imports this module

    return ProcessPoolExecutor(workers, env=ONE_THREAD)


def _settle() -> None:
    """Use one thread, and close inherited lock files, which would be held until the last worker ends."""
    os.environ.update(ONE_THREAD)
    threadpoolctl.threadpool_limits(1)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    own = "/proc/self/fd"
    for number in os.listdir(own) if os.path.isdir(own) else ():  # macOS has none
        with contextlib.suppress(OSError):
            if os.readlink(f"{own}/{number}").endswith("lock"):
                os.close(int(number))


def worker_count(workers: int | Literal["auto"]) -> int:
    """Return the number of processes for ``workers``.

    ``"auto"`` is one per usable core, or fewer if the memory limit of a container requires it.
    """
    if workers != "auto":
        return int(workers)
    from joblib import cpu_count

    limit = memory.limit()
    room = int(cpu_count()) if limit is None else int(limit / _MEMORY)
    return max(1, min(int(cpu_count()), room))


def spare_workers(workers: Workers) -> int:
    """Return how many processes can run beside a stage with ``workers``: half as many, 0 on a GPU or a cluster.

    Also 0 if the free memory does not suffice for both.
    """
    if isinstance(workers, Cluster) or _GPU.exists():
        return 0
    count = worker_count(workers)
    spare = max(1, count // 2)
    return spare if (count + spare) * _MEMORY <= memory.free() else 0


def run(calls: Sequence[Call], workers: int | Literal["auto"], show: Show) -> TaskResult:
    """Run all calls. If a worker dies, its calls are retried one at a time; a call fails if its worker dies twice."""
    task_result = TaskResult()
    killed_before = memory.kills()
    with tempfile.TemporaryDirectory(prefix="shearbench-progress-") as folder:
        paths = [Path(folder) / str(index) for index in range(len(calls))]
        with _followed(paths, show):
            for index in _attempt(calls, paths, range(len(calls)), worker_count(workers), task_result):
                # A dead worker breaks the whole pool, so the failing call is unknown. Alone in a pool, it is known.
                if all(_attempt(calls, paths, [index], 1, task_result) for _ in range(_LONE_TRIES)):
                    task_result.died[index] = _cause_of_death(killed_before)
    return task_result


def _cause_of_death(killed_before: int) -> str:
    if memory.kills() > killed_before:
        limit = memory.limit()
        of = "the machine" if limit is None else f"its container, {limit / 1e9:.1f} GB,"
        return f"its process was killed twice as the memory of {of} ran out; lower execution.workers or recipe.batch"
    return "its process died twice (killed, or a crash in native code; the kernel reports no lack of memory)"


def _attempt(
    calls: Sequence[Call], paths: Sequence[Path], indexes: Sequence[int], workers: int, task_result: TaskResult
) -> list[int]:
    """Run the calls at ``indexes``; store results and failures; return the indexes lost with a dead process."""
    executor = _pool(min(workers, len(indexes)))
    lost = []
    try:
        futures: dict[Future[Any], int] = {
            executor.submit(_do, calls[index], paths[index], os.getpid()): index for index in indexes
        }
        for future in as_completed(futures):
            index = futures[future]
            error = future.exception()
            if error is None:
                task_result.results[index] = future.result()
            elif isinstance(error, BrokenProcessPool):
                lost.append(index)
            else:
                task_result.failures[index] = reason_of(error, error.__cause__)
    except BaseException:
        with contextlib.suppress(queue.Empty):
            while True:  # loky drops waiting calls but still looks up their ids, with a traceback at every stop
                executor._work_ids.get_nowait()
        executor.shutdown(wait=False, kill_workers=True)
        raise
    executor.shutdown(wait=True, kill_workers=True)  # all results are here, and a regular end takes a second
    return sorted(lost)


def _do(call: Call, progress: Path, parent: int) -> Any:
    """Run one call in a worker, which ignores Ctrl-C. It ends with its parent, because its results are lost then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent, signal.SIGKILL)
    with progress.open("wb", buffering=0) as file:

        def advance(units: int) -> None:
            file.write(b"." * units)

        return call.function(call.task, advance)


@contextmanager
def _followed(paths: Sequence[Path], show: Show) -> Iterator[None]:
    """Show the total size of ``paths`` in bytes; workers write one byte per finished unit."""
    done = threading.Event()

    def follow() -> None:
        finished = False
        while not finished:
            finished = done.wait(_POLL_SECONDS)
            show(sum(path.stat().st_size for path in paths if path.exists()))

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()

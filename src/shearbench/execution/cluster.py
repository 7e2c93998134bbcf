"""Run calls on the workers of a dask scheduler.

dask assigns calls to workers, and retries the calls of a dead worker. Each worker offers a resource named by its
version (``remote.resource``), so no task reaches a worker of another version. A worker requests missing inputs by
their hash (``remote.py``).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

import dask
from distributed import Client, Future, KilledWorker
from rich.console import Console

from shearbench.errors import InputError
from shearbench.execution import remote
from shearbench.execution.calls import Call, Cluster, Show, TaskResult, reason_of
from shearbench.execution.files import Manifest, put_in_place
from shearbench.execution.remote import GPU, differences, identity, is_ours, resource

_CHUNK = 1 << 24
_CONNECT, _WORKERS = 20.0, 60.0  # seconds to wait for the scheduler, and for workers
_POLL = 2.0  # seconds between checks of the workers
_FOR_EACH_WORKER = 2  # calls per worker at the scheduler: one running, one ready
_SILENT = "50 MiB"  # size of arguments above which dask warns


def run(calls: Sequence[Call], cluster: Cluster, show: Show) -> TaskResult:
    """Run all calls on the workers of a cluster; write the output files of each call when it finishes.

    Raises:
        InputError: if the scheduler does not answer or is lost, or has no worker of this version.
    """
    with _connected(cluster.scheduler) as client:
        return _Run(client, cluster, calls, show).execute()


@contextmanager
def _connected(scheduler: str) -> Iterator[Client]:
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": _SILENT}):
        try:
            client = Client(scheduler, timeout=_CONNECT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"execution.scheduler {scheduler} does not answer ({error}); start `dask scheduler` there, or work "
                "with backend: local"
            ) from None
        try:
            yield client
        finally:
            with suppress(OSError, TimeoutError):
                client.close()


class _Run:
    """The calls of one ``run_tasks`` on a cluster. Messages of workers and futures arrive in one queue."""

    def __init__(self, client: Client, cluster: Cluster, calls: Sequence[Call], show: Show) -> None:
        self.client, self.cluster, self.calls, self.show = client, cluster, calls, show
        self.name = f"shearbench-{uuid4().hex}"
        self.needs = {resource(): 1, **({GPU: 1} if cluster.gpu else {})}
        self.events: SimpleQueue[Sequence[Any]] = SimpleQueue()
        self.manifest = Manifest()
        self.waiting, self.running = deque(range(len(calls))), dict[int, Future[Any]]()
        self.done = dict.fromkeys(range(len(calls)), 0)
        self.reported: set[str] = set()
        self.workers, self.examined, self.seen = 0, 0.0, time.monotonic()
        self.task_result = TaskResult()

    def execute(self) -> TaskResult:
        """Submit the calls and answer the workers until every call has finished or failed."""
        handlers: dict[str, Callable[..., None]] = {
            remote.DONE: self._count,
            remote.WANTED: self._send,
            "finished": self._finish,
        }
        self.client.subscribe_topic(self.name, lambda event: self.events.put(event[1]))
        try:
            while self.waiting or self.running:
                self._examine_workers()
                self._submit()
                with suppress(Empty):
                    kind, *facts = self.events.get(timeout=_POLL)
                    handlers[kind](*facts)
        except OSError as error:
            raise self._lost(str(error)) from None
        except BaseException:
            self._stop()
            raise
        return self.task_result

    def _submit(self) -> None:
        limit = _FOR_EACH_WORKER * self.workers if self.cluster.workers == "auto" else self.cluster.workers
        while self.waiting and len(self.running) < limit:
            index = self.waiting.popleft()
            call = self.calls[index]
            request = remote.TaskRequest(self.name, index, call, self.manifest.of(call.reads), identity())
            key = f"{self.name}-{index}"
            future = self.client.submit(remote.perform, request, key=key, pure=False, resources=self.needs)
            self.running[index] = future
            future.add_done_callback(lambda _, index=index: self.events.put(("finished", index)))

    def _count(self, index: int, done: int) -> None:
        self.done[index] = done
        self.show(sum(self.done.values()))

    def _send(self, index: int, address: str, wanted: Sequence[str]) -> None:
        """Send missing files to a worker. If the worker is gone, the task requests them again on another one."""
        with suppress(OSError):
            for sha256 in wanted:
                path = self.manifest.by_hash[sha256]
                size, offset = path.stat().st_size, 0
                with path.open("rb") as file:
                    while (chunk := file.read(_CHUNK)) or offset == 0:
                        self.client.run(remote.receive, sha256, offset, size, chunk, workers=[address])
                        offset += len(chunk) or 1

    def _finish(self, index: int) -> None:
        """Store the result or failure of a call, and write its files."""
        future = self.running.pop(index)
        if future.status in ("cancelled", "lost"):
            raise self._lost("the connection broke")
        error = future.exception()
        if isinstance(error, KilledWorker):
            self.task_result.died[index] = "its workers died, or were cut off, again and again"
        elif error is not None:
            self.task_result.failures[index] = reason_of(error, error.__cause__)
        else:
            response = future.result()
            if response.failure is not None:
                self.task_result.failures[index] = response.failure
            else:
                put_in_place(response.files, self.calls[index].writes)
                self.task_result.results[index] = response.result
                self._count(index, response.done)

    def _examine_workers(self) -> None:
        """Count the workers of this version at most every ``_POLL`` seconds, and print those that are refused."""
        if time.monotonic() - self.examined < _POLL:
            return
        workers = self.client.scheduler_info(n_workers=-1)["workers"]
        suited = [address for address, facts in workers.items() if self._suits(facts["resources"])]
        others = [address for address in workers if address not in suited]
        refused = [self._refusal(address, workers[address]["resources"]) for address in others]
        self.workers, self.examined = len(suited), time.monotonic()
        if suited:
            self.seen = self.examined
            for line in refused:
                if line not in self.reported:
                    self.reported.add(line)
                    Console(stderr=True).print(line, highlight=False, soft_wrap=True)
        elif refused or self.examined - self.seen > _WORKERS:
            scheduler, reasons = self.cluster.scheduler, "; ".join(refused) or "there is none"
            step = f"start one of this version with `shearbench worker {scheduler}`"
            raise InputError(f"no worker of {scheduler} can do this: {reasons}; {step}")

    def _suits(self, resources: Mapping[str, float]) -> bool:
        return all(resources.get(name, 0) >= amount for name, amount in self.needs.items())

    def _refusal(self, address: str, resources: Mapping[str, float]) -> str:
        if not is_ours(resources):
            return f"worker {address} is refused: it was not started by `shearbench worker`"
        theirs = self.client.run(identity, workers=[address], on_error="return")[address]
        if isinstance(theirs, Exception):
            return f"worker {address} is refused: it does not say its version ({theirs})"
        if other := differences(theirs):
            return f"worker {address} is refused: it has {other}"
        lacks = "it has no GPU of its own" if self.cluster.gpu else "its code has changed since it started; restart it"
        return f"worker {address} is refused: {lacks}"

    def _lost(self, reason: str) -> InputError:
        return InputError(
            f"the scheduler {self.cluster.scheduler} was lost ({reason}); finished results are stored: run the same "
            "command again once it is back"
        )

    def _stop(self) -> None:
        """Cancel waiting calls and stop running ones."""
        with suppress(OSError, TimeoutError):
            self.client.cancel(list(self.running.values()), force=True)
            self.client.run(remote.stop, self.name, on_error="ignore")

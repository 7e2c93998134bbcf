"""A worker of a cluster: a dask worker with one thread that runs one task at a time, of the same version only.

It waits while the scheduler is gone and continues when it is back. Ctrl-C ends it.
"""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from shearbench.errors import InputError
from shearbench.execution.calls import require_dask
from shearbench.execution.local import ONE_THREAD
from shearbench.execution.settings import is_address

_BETWEEN_TRIES = 2.0  # seconds


def serve(scheduler: str, *, processes: int, gpus: int, folder: Path, host: str | None = None) -> None:
    """Work for a scheduler until Ctrl-C.

    Args:
        scheduler: ``tcp://HOST:PORT``.
        processes: number of workers, with one task each.
        gpus: number of workers with a GPU of their own, in the order of the machine's GPUs.
        folder: for cached inputs and running tasks.
        host: the address to listen on; by default the one from which the scheduler is reached.

    Raises:
        InputError: if dask is not installed, the address is invalid, or there are more GPUs than workers.
    """
    if not is_address(scheduler):
        raise InputError(f"the scheduler's address must be tcp://HOST:PORT (or tls://); got {scheduler!r}")
    if gpus > processes:
        raise InputError(f"--gpus must be at most --processes, {processes}, as a task has one GPU; got {gpus}")
    require_dask()
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve_all(scheduler, processes, gpus, folder.absolute(), host))


async def _serve_all(scheduler: str, processes: int, gpus: int, folder: Path, host: str | None) -> None:
    servers = (_serve(scheduler, number, gpu=number < gpus, folder=folder, host=host) for number in range(processes))
    await asyncio.gather(*servers)


async def _serve(scheduler: str, number: int, *, gpu: bool, folder: Path, host: str | None) -> None:
    """Keep one worker going, whatever becomes of the scheduler."""
    from distributed import Nanny

    from shearbench.execution.remote import FOLDER, GPU, resource

    nanny_options: dict[str, Any] = {
        "nthreads": 1,
        "resources": {resource(): 1, **({GPU: 1} if gpu else {})},
        "env": {**ONE_THREAD, FOLDER: str(folder), "CUDA_VISIBLE_DEVICES": str(number) if gpu else ""},
        "local_directory": str(folder),
        "memory_limit": 0,
        "host": host,
        "dashboard": False,
    }
    while True:
        try:
            # A unique name, because the scheduler may still know the host name from a copied machine, or from this
            # worker before its connection was lost.
            name = f"{socket.gethostname()}-{number}-{uuid4().hex[:8]}"
            async with Nanny(scheduler, name=name, **nanny_options) as nanny:
                print(f"worker {number} of {scheduler}", file=sys.stderr, flush=True)
                await nanny.finished()
        except (TimeoutError, OSError, RuntimeError) as error:
            reason = error.__cause__ if isinstance(error, RuntimeError) else error  # of a nanny that did not start
            if not isinstance(reason, OSError):  # includes TimeoutError
                raise
            print(f"{scheduler} does not answer ({reason}); trying again", file=sys.stderr, flush=True)
        await asyncio.sleep(_BETWEEN_TRIES)

"""How trainings a minute grow with the workers of a cluster, beside the processes of one machine.

    python benchmarks/cluster.py [--digits 2000] [--epochs 5] [--trainings 10]

The same trainings of ``cnn2`` by 1 and 2 processes of this machine, as ``workers`` of ``params.yaml`` asks for, and by
1 and 2 workers of a real scheduler on loopback. The clock runs from the call to the last record in its place. *First*
is the first call, in which a worker imports torch and fetches its inputs; *again* is the next, of other seeds: the
workers of a cluster are still there, the processes of this machine are made anew for each call.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shearbench.execution import Cluster, Workers
from shearbench.records import provenance
from shearbench.training.crossval import fold_task, train_folds
from training import FOLDS, ablation_for, write_data

COUNTS = (1, 2)


@contextmanager
def running(*words: str, log: Path) -> Iterator[None]:
    """Run ``python -m ...`` beside this process."""
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=output, stderr=output, start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def cluster(workers: int, folder: Path) -> Iterator[Cluster]:
    """Yield a scheduler with so many workers, once they are there."""
    from distributed import Client

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, log = f"tcp://127.0.0.1:{port}", folder / "cluster.log"
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    worker = ("shearbench.cli", "worker", address, "--processes", str(workers), "--folder", str(folder / "worker"))
    with running(*scheduler, log=log), running(*worker, log=log):
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        yield Cluster(address)


def trainings_a_minute(workers: Workers, data: Path, *, trainings: int, epochs: int, seed: int) -> float:
    """Train folds with seeds of their own into a folder that is thrown away; return how many a minute."""
    config = ablation_for("cnn2", epochs=epochs, precision="auto")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as out:
        tasks = [
            fold_task(
                config.model_copy(update={"seed": seed + number}),
                number % FOLDS,
                dataset=data / "mnist",
                out=Path(out) / str(number),
            )
            for number in range(trainings)
        ]
        start = time.perf_counter()
        train_folds(tasks, workers=workers, label="trainings")
        return 60 * trainings / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--digits", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--trainings", type=int, default=10)
    asked = parser.parse_args()
    table = Table("where", "workers", "first /min", "again /min")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        data = Path(folder) / "data"
        write_data(None, asked.digits, data)
        for where in ("this machine", "cluster"):
            for count in COUNTS:
                with ExitStack() as stack:
                    made = Path(folder) / f"{where} {count}"
                    made.mkdir()
                    workers: Workers = count if where == "this machine" else stack.enter_context(cluster(count, made))
                    rates = [
                        trainings_a_minute(workers, data, trainings=asked.trainings, epochs=asked.epochs, seed=seed)
                        for seed in (42, 1042)
                    ]
                table.add_row(where, str(count), *(f"{rate:.1f}" for rate in rates))
    Console().print(table)
    print(provenance())


if __name__ == "__main__":
    main()

"""A fold trained by a real scheduler and a real worker on loopback: the bits of this machine, or a refusal."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import shearbench
from shearbench.errors import InputError
from shearbench.execution import Cluster
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import cross_validate

pytest.importorskip("distributed", reason="dask is an optional extra")

Make = Callable[..., TrainingConfig]
SAME_BYTES = ("weights.safetensors", "out_of_fold.npz", "history.csv", "batches.csv")


@contextmanager
def _running(*words: str, log: Path, code: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m ...`` in a session of its own, and end all of it."""
    environment = {**os.environ, "PYTHONPATH": str(code or Path(shearbench.__file__).parents[1])}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words], env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler; nothing but its clients and workers is there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
    with _running(*words, log=tmp_path / "scheduler.log"):
        until = time.monotonic() + 3600
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"tcp://127.0.0.1:{port}"


def _worker(scheduler: str, folder: Path) -> tuple[str, ...]:
    return ("shearbench.cli", "worker", scheduler, "--folder", str(folder))


def _train(config: TrainingConfig, data: Path, out: Path, workers: int | Cluster) -> None:
    cross_validate(
        config,
        dataset=data / "patterns",
        out=out,
        workers=workers,
        only=[1],
    )


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "fold-1" / name).read_bytes() for name in SAME_BYTES}


def test_a_fold_of_a_cluster_has_the_bits_of_this_machine(
    make_config: Make, data: Path, scheduler: str, tmp_path: Path
) -> None:
    config = make_config(architecture="cnn2", width=0.1, epochs=2, augment="affine")
    with _running(*_worker(scheduler, tmp_path / "worker"), log=tmp_path / "worker.log"):
        _train(config, data, tmp_path / "there", Cluster(scheduler))
    _train(config, data, tmp_path / "here", 1)
    assert _bytes(tmp_path / "there") == _bytes(tmp_path / "here")
    assert {path.name for path in (tmp_path / "there/fold-1").iterdir()} == {
        path.name for path in (tmp_path / "here/fold-1").iterdir()
    }
    assert not list((tmp_path / "worker/tasks").iterdir()), "a task leaves nothing behind"
    assert list((tmp_path / "worker/inputs").iterdir()), "inputs travelled by hash"


def test_a_worker_with_other_code_is_refused_with_both_versions(
    make_config: Make, data: Path, scheduler: str, tmp_path: Path
) -> None:
    shutil.copytree(Path(shearbench.__file__).parent, tmp_path / "other/shearbench")
    with (tmp_path / "other/shearbench/seeds.py").open("a") as file:
        file.write("ANOTHER_VERSION = True\n")  # a comment would not change the hash of the code
    words = _worker(scheduler, tmp_path / "worker")
    with (
        _running(*words, log=tmp_path / "worker.log", code=tmp_path / "other"),
        pytest.raises(InputError, match=r"is refused: it has code of shearbench \w{12} \(here \w{12}\)"),
    ):
        _train(make_config(epochs=1), data, tmp_path / "there", Cluster(scheduler))
    assert not (tmp_path / "there/fold-1/record.json").exists()


@pytest.mark.slow
def test_a_killed_worker_costs_no_fold(make_config: Make, data: Path, scheduler: str, tmp_path: Path) -> None:
    config = make_config(architecture="cnn2", width=0.1, epochs=60, augment="affine")

    def kill() -> None:
        while not list((tmp_path / "first/tasks").glob("task-*")):
            time.sleep(0.05)
        os.killpg(first.pid, signal.SIGKILL)
        killed.set()

    killed = threading.Event()
    second = _worker(scheduler, tmp_path / "second")
    with _running(*_worker(scheduler, tmp_path / "first"), log=tmp_path / "first.log") as first:
        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        trainer = threading.Thread(target=_train, args=(config, data, tmp_path / "there", Cluster(scheduler)))
        trainer.start()
        assert killed.wait(3600)
        with _running(*second, log=tmp_path / "second.log"):
            trainer.join(3600)
            assert not trainer.is_alive()
    _train(config, data, tmp_path / "here", 1)
    assert _bytes(tmp_path / "there") == _bytes(tmp_path / "here")


def test_a_scheduler_that_does_not_answer_is_named(
    make_config: Make, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shearbench.execution.cluster._CONNECT", 1.0)
    with pytest.raises(InputError, match=r"execution.scheduler tcp://127.0.0.1:1 does not answer .*start `dask sched"):
        _train(make_config(epochs=1), data, tmp_path / "there", Cluster("tcp://127.0.0.1:1"))


@pytest.mark.slow
def test_a_worker_waits_for_a_scheduler_that_is_not_there_yet(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "worker.log"
    with _running(*_worker(f"tcp://127.0.0.1:{port}", tmp_path / "worker"), log=log) as worker:
        until = time.monotonic() + 3600
        while "does not answer" not in log.read_text() and time.monotonic() < until:
            assert worker.poll() is None, log.read_text()
            time.sleep(0.5)
        assert f"tcp://127.0.0.1:{port} does not answer" in log.read_text()
        assert worker.poll() is None

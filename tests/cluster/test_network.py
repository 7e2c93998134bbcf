"""Scheduler, workers and the user's command on machines of their own, and what breaks between them.

Each machine has a network, processes and an address of its own, and no worker sees the project's folder. Whatever
happens to them, the networks are in the end those that a single machine trains.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import shearbench
from hosts import Host, Network, kill, needs_root, network, until
from small_clone import run
from small_project import document, write_data

pytest.importorskip("distributed", reason="dask is an optional extra")
pytestmark = [pytest.mark.slow, needs_root()]

FOLDS = ("fold-0", "fold-1")
SAME_BYTES = ("weights.safetensors", "out_of_fold.npz", "history.csv", "batches.csv")
BEGINS = "begins: shearbench.training.crossval.train_fold"
EPOCHS = 400
_SHORT, _LONG = 6, 40  # seconds; after 30 a connection is given up


def _train(scheduler: str | None = None) -> list[str]:
    return ["shearbench", "stage", "train", "mnist-cnn2", *(["--scheduler", scheduler] if scheduler else [])]


def _runs(project: Path) -> Path:
    return project / "build" / "runs" / "mnist" / "cnn2"


def _bytes(project: Path) -> dict[str, bytes]:
    return {f"{fold}/{name}": (_runs(project) / fold / name).read_bytes() for fold in FOLDS for name in SAME_BYTES}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one run to train, two folds of some seconds each."""
    project = tmp_path_factory.mktemp("untrained")
    whole = document() | {"tracking": {"uri": "off"}}
    whole["execution"]["workers"] = "auto"
    whole["models"]["cnn2"]["recipe"] = {**whole["models"]["cnn2"]["recipe"], "epochs": EPOCHS}
    (project / "params.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    write_data(project)
    run(project, "shearbench", "stage", "training_configs")
    return project


@pytest.fixture(scope="module")
def trained_here(untrained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What this machine alone makes of it."""
    project = tmp_path_factory.mktemp("here") / "project"
    shutil.copytree(untrained, project)
    run(project, *_train())
    return _bytes(project)


@dataclass(frozen=True)
class Cluster:
    """A network with a scheduler, which runs, and a desk, where the project is."""

    network: Network
    hub: Host
    scheduler: subprocess.Popen[bytes]
    desk: Host
    project: Path

    def worker(self, name: str, *, code: Path | None = None) -> tuple[Host, subprocess.Popen[bytes]]:
        """Add a machine with a worker, which sees no file of the project; ``code`` comes before what is installed."""
        host = self.network.host(name)
        host.hide(self.project.parent)
        return host, host.start_worker(self.hub.scheduler, self.project.parent / "worker", code=code)

    def train(self) -> subprocess.Popen[bytes]:
        """Begin to train, as a user at the desk does."""
        return self.desk.start(*_train(self.hub.scheduler), folder=self.project)

    def ends(self, command: subprocess.Popen[bytes], status: int = 0) -> str:
        """Wait for the command; return what the desk has seen."""
        ended, seen = command.wait(300), self.desk.log.read_text()
        assert ended == status, seen + self.hub.log.read_text()
        return " ".join(seen.split())


@pytest.fixture
def cluster(untrained: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler without workers, and a desk with a project to train."""
    project = tmp_path / "machines" / "project"
    shutil.copytree(untrained, project)
    with network(tmp_path) as machines:
        hub, desk = machines.host("hub"), machines.host("desk")
        yield Cluster(machines, hub, hub.start_scheduler(), desk, project)


@pytest.mark.parametrize("gone", ["killed", "without power"])
def test_a_worker_that_is_gone_costs_no_fold(cluster: Cluster, trained_here: dict[str, bytes], gone: str) -> None:
    (first, worker), (second, _) = (cluster.worker(name) for name in ("first", "second"))
    command = cluster.train()
    until(lambda: first.said(BEGINS) and second.said(BEGINS), "both train")
    kill(worker) if gone == "killed" else first.fail()
    cluster.ends(command)
    assert second.said(BEGINS) == len(FOLDS), "the other one did its work"
    assert _bytes(cluster.project) == trained_here


@pytest.mark.parametrize(("seconds", "met"), [(_SHORT, 1), (_LONG, 2)], ids=["short", "long"])
def test_a_host_that_is_cut_off_and_back_goes_on(
    cluster: Cluster, trained_here: dict[str, bytes], seconds: float, met: int
) -> None:
    worker, _ = cluster.worker("worker")
    command = cluster.train()
    until(lambda: worker.said(BEGINS), "it trains")
    cluster.network.unplug("worker")
    time.sleep(seconds)
    cluster.network.plug("worker")
    cluster.ends(command)
    assert worker.said("worker 0 of") == met, "after a long time it is a new worker"
    assert (worker.said(BEGINS) == len(FOLDS)) == (met == 1), "which begins its folds again"
    assert _bytes(cluster.project) == trained_here


def test_a_scheduler_that_was_killed_loses_no_finished_fold(cluster: Cluster, trained_here: dict[str, bytes]) -> None:
    worker, _ = cluster.worker("worker")
    command = cluster.train()
    until(lambda: worker.said(BEGINS) == 2 and (_runs(cluster.project) / FOLDS[0] / "record.json").is_file(), "a fold")
    kill(cluster.scheduler)
    assert f"the scheduler {cluster.hub.scheduler} was lost" in cluster.ends(command, status=2)
    cluster.hub.start_scheduler()
    until(lambda: worker.said("worker 0 of") == 2, "it comes back by itself")
    cluster.ends(cluster.train())
    assert worker.said(BEGINS) == 3, "the finished fold was kept"
    assert _bytes(cluster.project) == trained_here


def _with_other_code(folder: Path) -> Path:
    shutil.copytree(Path(shearbench.__file__).parent, folder / "shearbench")
    with (folder / "shearbench" / "seeds.py").open("a") as file:
        file.write("ANOTHER = 2\n")
    return folder


def _with_other_torch(folder: Path) -> Path:
    """Write the metadata of a torch 9.9.9 alone: who asks what is installed finds it first, as if it were there."""
    metadata = folder / "torch-9.9.9.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    return folder


def test_workers_of_other_versions_are_refused_by_name_and_get_no_task(
    cluster: Cluster, trained_here: dict[str, bytes], tmp_path: Path
) -> None:
    code, _ = cluster.worker("code", code=_with_other_code(tmp_path / "other code"))
    torch, _ = cluster.worker("torch", code=_with_other_torch(tmp_path / "other torch"))
    said = cluster.ends(cluster.train(), status=2)
    for seen in (f"no worker of {cluster.hub.scheduler} can do this", "start one of this version with `shearbench wor"):
        assert seen in said
    assert f"tcp://{torch.address}:" in said
    assert f"it has torch 9.9.9 (here {version('torch')})" in said
    assert f"tcp://{code.address}:" in said
    assert "it has code of shearbench " in said

    cluster.worker("right")
    cluster.ends(cluster.train())
    assert not any(host.said(BEGINS) for host in (code, torch))
    assert _bytes(cluster.project) == trained_here

"""Stages that a warm process runs: same output and status as ever, and none outlives who asked for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shearbench import warm
from shearbench.execution import local, run_tasks
from shearbench.execution.calls import Advance

CLIENT = [sys.executable, "-c", "from shearbench.warm import main; main()"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a server; its stage ``code`` can be made to sleep by a file ``slow`` in the project."""
    path = tmp_path_factory.mktemp("warm") / "socket"
    program = (
        "import os, time\nfrom pathlib import Path\nfrom shearbench import warm\nfrom shearbench.stages import code\n"
        "warm._PRELOADED = ()\n"
        "def main(root, original=code.main):\n"
        "    Path('pid').write_text(str(os.getpid()))\n"
        "    time.sleep(7200 if Path('slow').exists() else 0)\n"
        "    original(root)\n"
        "code.main = main\n"
        f"warm.serve(Path({str(path)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    until = time.monotonic() + 3600
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    yield path
    process.terminate()
    process.wait()


def _environment(server: Path) -> dict[str, str]:
    return {**os.environ, warm.SOCKET: str(server)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("datasets: {}\nmodels: {}\nablations: {}\n")
    return tmp_path


def test_a_stage_runs_in_the_server(server: Path, project: Path) -> None:
    client = subprocess.Popen([*CLIENT, "stage", "code"], cwd=project, env=_environment(server))
    assert client.wait(timeout=3600) == 0
    assert (project / "build" / "code" / "report.txt").is_file()
    assert int((project / "pid").read_text()) != client.pid


def test_a_mistake_has_the_message_and_status_of_ever(server: Path, project: Path) -> None:
    (project / "params.yaml").write_text("[")
    runs = [
        subprocess.run([*CLIENT, "stage", "code"], cwd=project, env=each, capture_output=True, text=True, timeout=3600)
        for each in (_environment(server), os.environ)
    ]
    assert [run.returncode for run in runs] == [2, 2]
    assert runs[0].stderr == runs[1].stderr != ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, None), (signal.SIGKILL, None)])
def test_a_stage_ends_with_the_command_that_asked_for_it(
    server: Path, project: Path, number: signal.Signals, status: int | None
) -> None:
    (project / "slow").touch()
    client = subprocess.Popen([*CLIENT, "stage", "code"], cwd=project, env=_environment(server))
    until = time.monotonic() + 3600
    while not (project / "pid").is_file() or not (project / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    stage = int((project / "pid").read_text())
    client.send_signal(number)
    client.wait(timeout=3600)
    assert client.returncode != 0
    assert status is None or client.returncode == status
    while Path(f"/proc/{stage}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_without_a_server_a_stage_runs_as_ever(project: Path) -> None:
    environment = _environment(project / "nobody")
    subprocess.run([*CLIENT, "stage", "code"], cwd=project, env=environment, check=True, timeout=3600)
    assert (project / "build" / "code" / "report.txt").is_file()


def test_a_server_whose_sources_changed_refuses(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "socket"
    changed = tmp_path / "changed"
    program = (
        "from pathlib import Path\nfrom shearbench import warm\nwarm._PRELOADED = ()\n"
        f"warm._sources = lambda _, path=Path({str(changed)!r}): {{'a': path.exists()}}\n"
        f"warm.serve(Path({str(path)!r}))"
    )
    server = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        until = time.monotonic() + 3600
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.1)
        monkeypatch.chdir(project)
        changed.touch()
        assert warm._handed_over(str(path), ["shearbench", "stage", "code"]) is None
        changed.unlink()
        assert warm._handed_over(str(path), ["shearbench", "stage", "code", "x" * warm._LIMIT]) is None
        assert warm._handed_over(str(path), ["shearbench", "stage", "code"]) == 0
    finally:
        server.terminate()
        server.wait()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _product(task: int, advance: Advance) -> tuple[bytes, int]:
    import torch

    numbers = torch.from_numpy(np.random.default_rng(task).standard_normal((300, 300)).astype(np.float32))
    advance(1)
    return (numbers @ numbers).numpy().tobytes(), torch.get_num_threads()


def test_forked_workers_compute_what_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run_tasks(_product, [1, 2, 3], workers=2, label="test", name=str)
    monkeypatch.setenv(warm.FORKED, "1")
    assert isinstance(local._pool(1), local.ForkedPool)
    assert run_tasks(_product, [1, 2, 3], workers=2, label="test", name=str) == plain
    assert {threads for _, threads in plain} == {1}


WORK = """
import sys
from pathlib import Path
import torch
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from shearbench import warm
warm.preload(Path(warm.__file__).parent)
before = set(sys.modules)
from shearbench.analysis.cost.measure import _flops
from shearbench.models import build
from shearbench.models.classical import to_bytes
from shearbench.models.interface import Inputs
network = build("resnet18", inputs=Inputs(1, 10, (28, 28)), width=0.25, options={}, seed=1).eval()
assert _flops(network, torch.zeros(1, 1, 28, 28)) > 0
samples = torch.randn(40, 20, generator=torch.Generator().manual_seed(0)).numpy()
to_bytes(make_pipeline(PCA(5), SVC()).fit(samples, [0, 1] * 20))
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("shearbench.")))
"""


def test_a_stage_of_the_server_imports_no_library() -> None:
    run = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, timeout=3600)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.split()) < 25, "each worker of each stage imports them anew"

"""``shearbench doctor`` finds what is wrong, each fault made on purpose, and says what to do; it changes nothing."""

import fcntl
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.commands import doctor
from shearbench.data import raw
from shearbench.execution import worker_count
from shearbench.tracking.store import attempt

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of mlflow's making


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound project: small data, adopted, in a git repository with DVC."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copytree(REPOSITORY / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (tmp_path / ".dvc" / "tmp").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("digits")
    loaded = params_of(tmp_path)()
    raw.write_adopted(tmp_path / "data.dvc", "data", raw.tree_of(tmp_path / "data"), loaded.sources)
    subprocess.run(["git", "init", "-q"], check=True)
    return tmp_path


def params_of(root: Path) -> Any:
    from shearbench.params import load

    return lambda: load(root / "params.yaml")


def found(root: Path) -> dict[str, doctor.Finding]:
    return dict(doctor.main(root, params_of(root)))


def change(root: Path, **parts: Any) -> None:
    path = root / "params.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **parts}))


def test_a_sound_project_has_no_fault(project: Path) -> None:
    before = raw.tree_of(project)
    findings = found(project)
    assert list(findings) == list(doctor.CHECKS)
    assert {name: each for name, each in findings.items() if each.status == "fault"} == {}
    assert " 10 runs" in findings["parameters"].text
    assert f"{worker_count('auto')} usable" in findings["cores"].text
    assert "no store yet" in findings["mlflow"].text
    assert raw.tree_of(project) == before, "it changes nothing"


def test_a_fault_of_params_yaml_does_not_stop_the_other_checks(project: Path) -> None:
    change(project, seed="x")
    findings = found(project)
    assert "seed input should be a valid integer" in findings["parameters"].text
    assert findings["data"].status == "note"
    assert findings["torch"].status == "ok"


def test_a_fault_of_an_own_network_is_found(project: Path) -> None:
    text = (project / "params.yaml").read_text().replace("architecture: mlp", "architecture: torch.nn.Bilinear", 1)
    (project / "params.yaml").write_text(text)
    finding = found(project)["parameters"]
    assert finding.status == "fault"
    assert "torch.nn.Bilinear" in finding.text


def test_slow_libraries_are_not_imported(project: Path) -> None:
    command = (
        "import sys; from pathlib import Path; from shearbench.commands import doctor; "
        "from shearbench.params import load; "
        f"doctor.main(Path({str(project)!r}), lambda: load(Path({str(project / 'params.yaml')!r}))); "
        "print([name for name in ('torchvision', 'sklearn', 'skops', 'mlflow', 'dvc') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_changed_data_is_a_fault(project: Path) -> None:
    (project / "data" / "file").write_text("other digits")
    finding = found(project)["data"]
    assert finding.status == "fault"
    assert "shearbench data" in finding.text


def test_a_torchvision_for_another_torch_is_a_fault(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy", "torch (==1.0.0)"])
    finding = found(project)["torch"]
    assert finding.status == "fault"
    assert "needs torch==1.0.0" in finding.text
    assert finding.step == "rm -rf .venv && make setup"


def test_a_library_that_does_not_load_is_a_fault_and_not_a_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.CHECKS, "torch", lambda visit: __import__("shearbench.no_such_library"))
    finding = found(project)["torch"]
    assert finding.status == "fault"
    assert "no_such_library" in finding.text


def test_other_versions_than_the_pinned_ones_are_named(project: Path) -> None:
    (project / "requirements.lock").write_text("# pinned\nnumpy==1.0\nnobody-has-this==2.0\npackaging>0\n")
    finding = found(project)["packages"]
    assert finding.status == "note"
    assert finding.text.startswith("2 of 3 differ: numpy 2.")
    assert "nobody-has-this is missing" in finding.text
    assert finding.step == "make setup"


@pytest.mark.parametrize(("free", "status"), [(5e8, "fault"), (3e9, "note"), (5e10, "ok")])
def test_a_full_disk_is_told(project: Path, monkeypatch: pytest.MonkeyPatch, free: float, status: str) -> None:
    usage = shutil.disk_usage(project)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage._replace(free=int(free)))
    assert found(project)["disk"].status == status


def test_a_gpu_that_is_not_there_is_a_fault(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    change(project, execution={"workers": 3, "device": "cuda", "precision": "auto"})
    findings = found(project)
    assert findings["precision"].status == "fault"
    assert findings["precision"].step == "set execution.device in params.yaml to auto"
    assert "stages use 3 processes" in findings["cores"].text


@pytest.mark.parametrize(("free", "status"), [(80e9, "ok"), (2e9, "note")])
def test_many_workers_on_a_small_gpu_are_noted(
    project: Path, monkeypatch: pytest.MonkeyPatch, free: float, status: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "a GPU")
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 80e9))
    change(project, execution={"workers": 4, "device": "auto", "precision": "auto"})
    finding = found(project)["precision"]
    assert finding.status == status
    assert finding.text.startswith("a GPU; trains on cuda in bf16")
    assert f"{free / 4e9:.1f} GB a process" in finding.text


def test_many_workers_on_little_memory_are_noted(project: Path) -> None:
    change(project, execution={"workers": 5000, "device": "cpu", "precision": "fp32"})
    assert found(project)["memory"].status == "note"


def test_the_store_of_mlflow(project: Path) -> None:
    assert attempt(project, "default", lambda store: None)
    assert found(project)["mlflow"].text.endswith("mlflow.db: 0 runs")
    moved = project / "elsewhere"
    moved.mkdir()
    shutil.copytree(project / "mlruns", moved / "mlruns")
    shutil.copy(project / "params.yaml", moved)
    assert "made in another folder: the next `shearbench track` corrects its paths" in found(moved)["mlflow"].text
    path = project / "mlruns" / "mlflow.db"
    path.write_bytes(b"no database" * 1000)
    assert "not a sound MLflow database" in found(project)["mlflow"].text
    change(project, tracking={"uri": "http://127.0.0.1:9"})
    down = found(project)["mlflow"]
    assert down.status == "fault"
    assert "shearbench track" in down.step
    change(project, tracking={"uri": "off"})
    assert "nothing is sent" in found(project)["mlflow"].text


def test_dvc_at_work_or_with_a_damaged_lock(project: Path) -> None:
    folder = project / ".dvc" / "tmp"
    with (folder / "lock").open("w") as file:
        file.write("4711\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert found(project)["dvc"].text == "DVC is at work here (process 4711)"
    assert found(project)["dvc"].status == "ok"
    (folder / "rwlock").write_text(json.dumps({"write": {"x": {"pid": 1, "cmd": "dvc repro"}}, "read": {}}))
    assert "a stage of DVC is running (process 1)" in found(project)["dvc"].text
    (folder / "rwlock").write_text(json.dumps({"read": {"x": [{"pid": 2**30, "cmd": "dvc repro"}]}}))
    assert found(project)["dvc"].status == "ok", "its process has ended"
    (folder / "rwlock").write_text("{")
    assert found(project)["dvc"].step == f"rm {folder / 'rwlock'}"
    shutil.rmtree(project / ".git")
    assert "git" in found(project)["dvc"].step


def test_the_command_prints_json_or_only_what_is_wrong_and_its_status_says_so(project: Path) -> None:
    sound = CliRunner().invoke(app, ["doctor"])
    assert sound.exit_code == 0, sound.output
    assert "No fault found." in sound.output
    (project / "data" / "file").write_text("other digits")
    listed = CliRunner().invoke(app, ["doctor", "--json"])
    assert listed.exit_code == 1
    assert {each["check"]: each["status"] for each in json.loads(listed.stdout)}["data"] == "fault"
    quiet = CliRunner().invoke(app, ["doctor", "--quiet"])
    assert quiet.exit_code == 1
    assert "FAULT data" in quiet.output
    assert "cores" not in quiet.output
    assert "1 fault(s), each with its fix." in quiet.output

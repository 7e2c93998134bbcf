"""Hash seed, locale, time zone, folder and clock decide nothing; temporary files are private, dependencies pinned."""

import ast
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from patterns import config_with, make_dataset
from shearbench.data.dataset import FOLDS, write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.records import atomic_file, read_json
from shearbench.training.crossval import fold_task, train_fold

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted((REPOSITORY / "src" / "shearbench").rglob("*.py"))


def test_surroundings_change_no_byte(finished_once: Path, tmp_path: Path) -> None:
    """One network trained again, elsewhere: other hash seed, locale, time zone, and a folder with an odd name."""
    root = tmp_path / "über größe '$x'\nzwei; 100%"
    shutil.copytree(finished_once, root)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("uri: default", "uri: 'off'"))
    run = root / "build" / "runs" / "mnist" / "mlp"
    shutil.rmtree(run)
    odd = {"PYTHONHASHSEED": "12345", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati"}
    command = [sys.executable, "-m", "shearbench.cli", "stage", "train", "mnist-mlp"]
    subprocess.run(command, cwd=root, env={**os.environ, **odd}, check=True, capture_output=True)
    for path in sorted((finished_once / "build" / "runs" / "mnist" / "mlp").rglob("*")):
        if path.is_file() and path.suffix != ".json":
            again = run / path.relative_to(finished_once / "build" / "runs" / "mnist" / "mlp")
            assert again.read_bytes() == path.read_bytes(), path.name


def test_a_clock_that_jumps_back_makes_no_negative_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = make_dataset(60, seed=1), make_dataset(20, seed=2, first_id=60)
    write_dataset(tmp_path / "data", {"train": train, "test": test}, {})
    write_folds(tmp_path / "data" / FOLDS, FoldTable(train.ids, train.ids[None] % 3))
    jumps = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600 * next(jumps))
    task = fold_task(
        config_with(architecture="mlp", width=0.02, epochs=2), 0,
        dataset=tmp_path / "data", out=tmp_path / "out",
    )  # fmt: skip
    train_fold(task, lambda _: None)
    record = read_json(tmp_path / "out" / "record.json")
    assert all(seconds > 0 for seconds in record["epoch_seconds"])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_durations_are_of_the_clock_that_only_goes_forward(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    when_written = {"datetime.now"} if path.name == "records.py" else set()  # a date in the record, and no duration
    assert not calls & ({"datetime.now", "datetime.utcnow", "os.path.getmtime", "tempfile.mktemp"} - when_written)
    assert "time.time" not in calls or path.parent.name == "tracking", "when MLflow was told, and no duration"
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and text.startswith(("/tmp", "/var/tmp"))]


def test_a_file_that_is_being_written_is_its_owners(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "a") as file:
        file.write(b"1")
        (being_written,) = tmp_path.glob(".a.*.tmp")
        assert being_written.stat().st_mode & 0o777 == 0o600


def _pins_of_servers() -> dict[str, list[str]]:
    """The hashes of every pin of ``requirements.servers``, by its name."""
    text = (REPOSITORY / "requirements.servers").read_text().replace("\\\n", "")
    pins = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert all(hashes and all(each.startswith("--hash=sha256:") for each in hashes) for _, *hashes in pins)
    return {pin.split("==")[0]: hashes for pin, *hashes in pins}


def test_every_dependency_is_pinned_to_one_version_and_torch_to_its_vision() -> None:
    lines = (REPOSITORY / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [
        line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.!+-]*", line)
    ] == []
    names = {
        re.split(r"[\[=]", line)[0].lower().replace("_", "-").replace(".", "-"): line.split("==")[1] for line in pins
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(one for group in project["optional-dependencies"].values() for one in group)]
    wanted = {re.split(r"[\[<>=!~; ]", one)[0].lower().replace("_", "-").replace(".", "-") for one in asked}
    assert wanted - names.keys() - {"shearbench"} - _pins_of_servers().keys() == set()
    torch, vision = (names[name].split("+")[0].split(".") for name in ("torch", "torchvision"))
    assert int(vision[1]) == int(torch[1]) + 15, "torch 2.n goes with torchvision 0.(n + 15)"


def test_every_pin_but_torch_has_the_hashes_of_its_files() -> None:
    """After a change to requirements.lock: `make hashes`."""
    lock = (REPOSITORY / "requirements.lock").read_text().splitlines()
    pins = {line for line in lock if line and not line.startswith(("#", "torch==", "torchvision=="))}
    texts = [(REPOSITORY / f"requirements.{part}").read_text().replace("\\\n", "") for part in ("hashes", "dev")]
    hashed = [line.split() for text in texts for line in text.splitlines() if not line.startswith("#")]

    def normal(pin: str) -> str:
        name, version = pin.split("==")
        return f"{re.sub('[-_.]', '-', name.lower())}=={version}"

    assert {normal(pin) for pin, *_ in hashed} == {normal(pin) for pin in pins}
    assert all(hashes and all(each.startswith("--hash=sha256:") for each in hashes) for _, *hashes in hashed)

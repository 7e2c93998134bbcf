"""A study in PostgreSQL, searched with the suite's own command, in one clone after the other."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import small_project
from local_servers import SECRETS, Postgres, holding
from patterns import make_dataset
from shearbench.data.dataset import write_dataset
from shearbench.data.folds import write_part

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "shearbench.cli", "tune", "mlp", "--dataset", "mnist")
DATABASE = "studies"
SAMPLES = 600
TUNING = {"trials": 18, "timeout": 3600, "inner_fraction": 0.33, "finalists": 2, "folds": 2}


def _write_project(root: Path, storage: str) -> None:
    document = small_project.document()
    recipe = {"epochs": 9, "batch": 20, "learning_rate": 1e-2, "weight_decay": 0.0}
    search = {"learning_rate": [1e-4, 1e-1], "batch": [10, 20, 40], "width": [0.1, 0.5]}
    document["models"]["mlp"] |= {"recipe": recipe, "search": search}
    document["tuning"] |= {**TUNING, "dataset": "mnist", "storage": storage}
    document["tracking"]["uri"] = "off"
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose search has ended, with a journal file, by one process."""
    root = tmp_path_factory.mktemp("searched")
    splits = {"train": make_dataset(SAMPLES, seed=1), "test": make_dataset(20, seed=2, first_id=SAMPLES)}
    write_dataset(root / "build" / "datasets" / "mnist", splits, {"entry": small_project.IMAGES})
    write_part(root / "build" / "datasets" / "mnist" / "tuning_part.npz", np.arange(SAMPLES // 2))
    (root / "tuned").mkdir()
    _write_project(root, "default")
    subprocess.run(COMMAND, cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def storage(postgres: Postgres) -> str:
    """The URL of an empty database."""
    return postgres.make(DATABASE)


@pytest.fixture
def clones(searched: Path, storage: str, tmp_path: Path) -> tuple[Path, Path]:
    """Two projects that have yet to search, with one storage."""
    for name in ("one", "two"):
        shutil.copytree(searched, tmp_path / name, ignore=shutil.ignore_patterns("studies", "results", "mlp.yaml"))
        _write_project(tmp_path / name, storage)
    return tmp_path / "one", tmp_path / "two"


def _start(root: Path) -> "subprocess.Popen[str]":
    with (root / "output").open("ab") as output:
        return subprocess.Popen(COMMAND, cwd=root, stdout=output, stderr=output, text=True, start_new_session=True)


def _output(root: Path) -> str:
    text = (root / "output").read_text()
    assert "Traceback" not in text, text
    return text


def _rungs(root: Path) -> int:
    """How often the command in a project has taken trials to train."""
    return (root / "output").read_text().count("mnist-mlp: bracket") if (root / "output").exists() else 0


def _wait_for_rungs(root: Path, count: int, process: "subprocess.Popen[str]") -> None:
    while _rungs(root) < count:
        assert process.poll() is None, _output(root)
        time.sleep(0.05)


def _found(root: Path) -> Any:
    """What a search came to: all but times."""
    results = root / "build" / "tuning" / "results" / "mnist" / "mlp"
    tables = {}
    for name in ("trials", "curves", "finalists", "sizes"):
        rows = list(csv.DictReader((results / f"{name}.csv").read_text().splitlines()))
        tables[name] = [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]
    assert len(tables["trials"]) == TUNING["trials"]
    return tables


def test_a_search_that_is_killed_goes_on_in_another_clone_and_comes_to_the_same_trials(
    searched: Path, clones: tuple[Path, Path]
) -> None:
    one = _start(clones[0])
    _wait_for_rungs(clones[0], 2, one)  # it says so before it trains them
    os.killpg(one.pid, signal.SIGKILL)
    one.wait()
    assert _start(clones[1]).wait(500) == 0, _output(clones[1])
    assert _found(clones[1]) == _found(searched)
    assert holding(clones[1], *SECRETS) == [clones[1] / "params.yaml"]


def test_a_database_that_goes_away_is_said_and_the_same_command_goes_on(
    searched: Path, clones: tuple[Path, Path], postgres: Postgres
) -> None:
    root = clones[0]
    process = _start(root)
    _wait_for_rungs(root, 2, process)
    postgres.stop()
    try:
        assert process.wait(120) == 2
        assert "tuning.storage does not answer any more" in _output(root)
    finally:
        postgres.start()
    assert _start(root).wait(500) == 0, _output(root)
    assert _found(root) == _found(searched)
    assert holding(root, *SECRETS) == [root / "params.yaml"]


@pytest.mark.parametrize("fault", ["password", "server", "of mlflow"])
def test_a_database_that_cannot_be_used_is_named_without_its_login(
    clones: tuple[Path, Path], storage: str, postgres: Postgres, fault: str
) -> None:
    root = clones[0]
    if fault == "password":
        storage = postgres.url(DATABASE, SECRETS[2])
    elif fault == "server":
        storage = storage.replace(str(postgres.port), "9")
    else:
        postgres.ask(DATABASE, "create table experiments (experiment_id integer)")
    _write_project(root, storage)
    assert _start(root).wait(120) == 2
    assert ("is MLflow's database" if fault == "of mlflow" else "tuning.storage cannot be opened") in _output(root)
    assert holding(root, *SECRETS) == [root / "params.yaml"]

"""The command line: a user's mistake ends in one message with the next step and a status, never in a traceback."""

import errno
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import dvc
import mlflow
import numpy as np
import optuna
import pytest
import torch
import typer
from typer.testing import CliRunner

from shearbench import records
from shearbench.cli import app
from shearbench.data import idx
from shearbench.errors import TasksFailed
from shearbench.records import read_json, read_npz

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the repository's settings and no data; the working directory."""
    for name in ("params.yaml", "data.dvc"):
        shutil.copy(REPOSITORY / name, tmp_path)
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, status=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.output


def test_help_lists_every_command_by_what_a_user_wants():
    output = run("--help")
    headings = ("Get ready", "Run", "See results", "Mechanics")
    places = [output.index(f" {heading} ─") for heading in headings]
    assert places == sorted(places)
    for command in ("data", "check", "stage", "tune", "results", "verify", "track", "ui", "simulate", "profile"):
        assert command in output


def test_a_reader_that_leaves_ends_a_command_without_a_message():
    script = """
from shearbench.cli.shared import commands

app, command = commands("Say")

@command
def say() -> None:
    print("line\\n" * 10**6)

app()
"""
    piped = ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -1', sys.executable, script]
    ended = subprocess.run(piped, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("line\n", "", 141)


def test_versions_are_those_that_are_imported():
    output = run("--version")
    for module in (torch, mlflow, dvc, optuna):
        assert f"{module.__name__} {module.__version__}" in output
    assert output.startswith(f"shearbench {metadata.version('shearbench')} (Python {platform.python_version()}")


def commands(command, *words):
    """Yield the words of every command there is, groups opened."""
    if isinstance(command, typer.core.TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, *words, name)
    else:
        yield words


@pytest.mark.parametrize("words", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_shows_an_example_of_itself(words):
    output = run(*words, "--help")
    _, examples = output.split("Example", 1)
    assert f"  shearbench {' '.join(words)}" in examples


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stage", "prepare"], "data is missing; run `shearbench data`"),
        (["stage", "train"], "stage train needs one of mnist-mlp, "),
        (["stage", "train", "mnist-cnn9"], "got 'mnist-cnn9'"),
        (["stage", "cook"], "stage must be one of code, prepare, simulate"),
        (["stage", "prepare", "mnist"], "stage prepare takes no further name"),
        (["stage", "explore", "mnist"], "is missing"),
        (["stage", "compare"], "run `dvc repro train@mnist-mlp`"),
        (["tune", "cnn9"], "model must be one of mlp, cnn2, cnn3, resnet18, svm; got 'cnn9'"),
        (["tune", "cnn2", "--dataset", "mnits"], "dataset must be one of mnist, mechanical; got 'mnits'"),
        (["profile", "huge"], "profiles/huge.yaml does not exist; available: full"),
        (["results"], "comparison.json is missing; run `dvc repro`"),
        (["simulate", "nowhere.npy", "out.npz"], "nowhere.npy"),
        (["mechanics", "compare", "a.npz", "b.zip", "c.npy"], "a.npz is not a file"),
        (["worker", "10.0.0.1:8786"], "must be tcp://HOST:PORT (or tls://); got '10.0.0.1:8786'"),
        (["verify"], "data is missing; run `shearbench data`"),
        (["simulate", "nowhere.npy", "out.npz", "--steps", "5,x"], "--steps must be whole numbers"),
    ],
)
def test_a_mistake_is_named_with_the_next_step(project, words, message):
    assert message in run(*words, status=2).replace("\n", " ")


@pytest.mark.parametrize(
    "words", [["results"], ["ui"], ["check"], ["predict", "1.png", "--dataset", "mnist"], ["verify"]], ids=" ".join
)
def test_outside_of_a_project_the_way_into_one_is_told(project, monkeypatch, words):
    (project / "docs").mkdir()
    monkeypatch.chdir(project / "docs")
    assert f"cd {project}" in run(*words, status=2).replace("\n", "")
    (project / "params.yaml").unlink()
    assert "change to the folder of your project" in run(*words, status=2).replace("\n", " ")


def test_faults_of_the_parameters_come_all_at_once(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("cv: {folds: 5", "cv: {folds: 1").replace("seed: 42", "seed: x"))
    output = run("check", status=2)
    assert "2 fault(s)" in output
    assert "cv.folds" in output
    assert "seed input should be a valid integer; got 'x'" in output


def test_an_option_that_a_network_does_not_know_is_named_before_any_work(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("options: {dropout: 0.25}", "options: {dropuot: 0.25}", 1))
    assert "dropuot" in run("check", status=2)


def test_a_fault_of_a_claim_is_named_before_any_work(project):
    (project / "claims").mkdir(exist_ok=True)
    (project / "claims" / "paper.yaml").write_text("study: {label: A paper, folds: five, samples: 60000}\n")
    assert "- study.folds: Input should be a valid integer" in run("check", status=2)


def test_a_profile_replaces_the_parameters(project):
    run("profile", "full")
    assert (project / "params.yaml").read_bytes() == (REPOSITORY / "profiles" / "full.yaml").read_bytes()
    assert "params.yaml is valid: 2 datasets, 5 models, 10 runs" in run("check")


def test_data_that_is_not_there_is_made_and_data_that_differs_is_put_aside(project):
    assert "407 files" in run("data")
    assert "nothing to do" in run("data")
    path = project / "data" / "mnist" / idx.MNIST_FILES["test"][1]
    original = path.read_bytes()
    changed = original[:-1] + bytes([(original[-1] + 1) % 10])
    path.write_bytes(changed)
    assert "what was in data/ before is now in data.old/" in run("data")
    assert path.read_bytes() == original
    assert (project / "data.old" / "mnist" / path.name).read_bytes() == changed


def test_another_source_must_be_adopted(project):
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("{kind: bundled}", "{kind: path, path: elsewhere}"))
    assert "--adopt" in run("data", status=2)
    assert "elsewhere" in run("data", "--adopt", status=2)
    assert not (project / "data").exists()


@pytest.mark.parametrize("length", [0, 3, 15, 100, 2 * 784 + 15])
def test_a_truncated_idx_file_is_refused(project, length):
    content = idx.encode(np.zeros((2, 28, 28), np.uint8))
    (project / "cut").write_bytes(content[:length])
    assert "cut" in run("simulate", "cut", "out.npz", status=2)
    assert not (project / "out.npz").exists()


def test_digits_of_a_file_are_simulated(project):
    digits = np.zeros((2, 28, 28), np.uint8)
    digits[1, 8:20, 12:16] = 255
    np.save(project / "digits.npy", digits)
    assert "2 digits, 0 failed" in run("simulate", "digits.npy", "out.npz", "--steps", "3,5", "--workers", "1")
    arrays = read_npz(project / "out.npz")
    assert arrays["displacement"].shape == (2, 2, 2, 28, 28)
    assert arrays["steps"].tolist() == [3, 5]
    assert read_json(project / "out.json")["load"] == "shear"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "build/x"), 1, "build/x: free some space and run the same"),
        (OSError(errno.EACCES, "Permission denied", "build/x"), 1, "check the owner and the permissions"),
        (TasksFailed("train: 1 of 5 tasks failed"), 1, "1 of 5 tasks failed"),
        (KeyboardInterrupt(), 130, "the same command continues"),
    ],
)
def test_a_failure_of_the_machine_is_one_message(project, monkeypatch, error, status, message):
    def fail(path, content):
        raise error

    monkeypatch.setattr(records, "write_bytes", fail)
    assert message in run("profile", "full", status=status).replace("\n", " ")
    assert (project / "params.yaml").read_bytes() == (REPOSITORY / "params.yaml").read_bytes()


def test_an_error_of_ours_shows_itself(project, monkeypatch):
    def fail(path, content):
        raise ZeroDivisionError

    monkeypatch.setattr(records, "write_bytes", fail)
    result = CliRunner().invoke(app, ["profile", "full"])
    assert isinstance(result.exception, ZeroDivisionError)

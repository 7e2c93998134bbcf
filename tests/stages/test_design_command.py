"""``shearbench design``: a pilot is read from the folds that are there, and the answer is that of the statistics."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.comparison.pairs import discordance_of_folds
from shearbench.data.folds import FoldTable, read_folds, write_folds
from shearbench.errors import InputError
from shearbench.predictions.folds import read_fold_runs
from shearbench.statistics.design import Design, detectable_difference
from shearbench.statistics.pilot import measured

A, B = ("mnist", "mlp"), ("mnist", "cnn2")


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["design", *words])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.output  # notes on the surroundings go to stderr


@pytest.fixture
def project(finished_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished_once)
    return finished_once


def test_wins_are_the_differences_of_the_fold_accuracies(project: Path) -> None:
    discordance, folds = discordance_of_folds(project / "build", A, B)
    assert folds == 2
    runs = [read_fold_runs(project / "build" / "runs" / dataset / model, 2) for dataset, model in (A, B)]
    accuracies = np.array([[run.record["metrics"]["validation_accuracy"] for run in one_run] for one_run in runs])
    assert [each.mean() for each in discordance] == pytest.approx((accuracies[0] - accuracies[1]).tolist())


def test_the_answer_in_json_is_that_of_the_pilot_in_the_folds(project: Path) -> None:
    answer = json.loads(run("mnist-mlp", "mnist-cnn2", "--difference", "0.2", "--json"))
    pilot = measured(discordance_of_folds(project / "build", A, B)[0], folds=2)
    assert answer["design"] == {"folds": 2, "repeats": 1, "alpha": 0.05, "power": 0.8, "comparisons": 1}
    assert answer["pilot"]["samples"] == pytest.approx(pilot.samples)
    assert answer["planned"]["detectable"] == pytest.approx(detectable_difference(Design(2), sd=pilot.sd(2)))
    assert [need["folds"] for need in answer["needs"]] == [2, 3, 5, 10, 20]


def test_a_given_deviation_needs_no_folds(project: Path) -> None:
    answer = json.loads(run("--sd", "0.01", "--folds", "5", "--repeats", "3", "--comparisons", "6", "--json"))
    design = Design(5, 3, comparisons=6)
    assert answer["planned"]["detectable"] == pytest.approx(
        detectable_difference(design, sd=0.01 * np.sqrt(5 / 2))  # the project has two folds, of twice as many digits
    )
    printed = run("--sd", "0.01", "--difference", "0.001")
    assert "2 folds x 1 repeats" in printed
    assert "none: at best" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name two runs"),
        (("mnist-mlp", "mnist-cnn2", "--sd", "0.1"), "name two runs"),
        (("mnist-mlp",), "a pilot needs two runs; got 1"),
        (("mnist-mlp", "mnist-vgg"), "got 'mnist-vgg'"),
        (("--sd", "0"), "must be a number > 0"),
        (("--sd", "0.01", "--difference", "0"), "difference to be detected must be > 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(project: Path, words: tuple[str, ...], message: str) -> None:
    assert message in " ".join(run(*words, status=2).split())


def test_a_pilot_of_too_few_or_other_folds_is_refused(finished: Path) -> None:
    table = read_folds(finished / "build" / "datasets" / "mnist" / "folds.npz")
    write_folds(finished / "build" / "datasets" / "mnist" / "folds.npz", FoldTable(table.ids, 1 - table.folds))
    with pytest.raises(InputError, match=r"fold 0 is not that of .*folds\.npz"):
        discordance_of_folds(finished / "build", A, B)
    shutil.rmtree(finished / "build/runs/mnist/mlp/fold-1")
    with pytest.raises(InputError, match="mnist-mlp and mnist-cnn2 have both finished, but there are 1"):
        discordance_of_folds(finished / "build", A, B)

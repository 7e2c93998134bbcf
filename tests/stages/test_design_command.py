"""``shearbench design``: a pilot is read from the folds that are there, and the answer is that of the statistics."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shearbench.cli import app
from shearbench.comparison.table import pilot_of_folds
from shearbench.data.dataset import load
from shearbench.data.folds import FoldTable, read_folds, write_folds
from shearbench.errors import InputError
from shearbench.params import load as load_params
from shearbench.predictions.folds import read_fold_runs
from shearbench.statistics.pilot import given, plan
from shearbench.statistics.runs import Design

A, B = ("mnist", "mlp"), ("mnist", "cnn2")


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["design", *words])
    assert result.exit_code == status, result.output
    return result.stdout if status == 0 else result.output  # notes on the surroundings go to stderr


@pytest.fixture
def project(finished_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished_once)
    return finished_once


def test_the_pilot_is_that_of_the_fold_accuracies(project: Path) -> None:
    pilot = pilot_of_folds(project / "build", A, B)
    runs = [read_fold_runs(project / "build" / "runs" / dataset / model, 2) for dataset, model in (A, B)]
    accuracies = np.array([[run.record["metrics"]["validation_accuracy"] for run in one_run] for one_run in runs])
    assert pilot.seen == pytest.approx((accuracies[0] - accuracies[1]).var(ddof=1))
    assert pilot.df == 1
    held_out, tested = (len(load(project / "build/datasets/mnist", split).ids) for split in ("train", "test"))
    assert pilot.samples == pytest.approx(pilot.fold_samples * (held_out / 2) / (held_out + tested))


def test_the_answer_in_json_is_that_of_the_pilot_in_the_folds(project: Path) -> None:
    answer = json.loads(run("mnist-mlp", "mnist-cnn2", "--difference", "0.2", "--json"))
    pilot = pilot_of_folds(project / "build", A, B)
    assert answer["design"] == {
        "folds": 2,
        "repeats": 1,
        "alpha": 0.05,
        "power": 0.8,
        "comparisons": 1,
        "disjoint": False,
    }
    assert answer["pilot"]["samples"] == pytest.approx(pilot.samples)
    planned = plan(Design(2), pilot, rope=answer["rope"]).planned
    assert answer["planned"]["detectable"] == pytest.approx(planned.detectable)
    assert [need["folds"] for need in answer["needs"]] == [2, 3, 5, 10, 20]


def test_a_given_deviation_needs_no_folds(project: Path) -> None:
    answer = json.loads(run("--sd", "0.01", "--folds", "5", "--repeats", "3", "--comparisons", "6", "--json"))
    planned = plan(
        Design(5, 3, comparisons=6), given(0.01, folds=2), rope=answer["rope"]
    ).planned  # the project's folds
    assert answer["planned"]["detectable"] == pytest.approx(planned.detectable)
    printed = run("--sd", "0.01", "--difference", "0.001")
    assert "2 folds x 1 repeat," in printed
    assert "none: at best" in printed


def test_a_difference_within_the_region_of_equivalence_is_explained(project: Path) -> None:
    """Detectable differences below the region rise with repeats; without a region they never do."""
    (rope,) = set(load_params(project / "params.yaml").compare.rope.values())
    assert "can rise with more folds or repeats" in run("--sd", str(rope / 10))
    assert "can rise" not in run("--sd", str(10 * rope))
    pilot = replace(given(0.01, folds=5), training=0.005**2, df=4)
    for region, rises in ((0.0, False), (0.03, True)):
        found = {(one.folds, one.repeats): one.detectable for one in plan(Design(5), pilot, rope=region).options}
        assert all((found[folds, 10] > found[folds, 1]) == rises for folds in (5, 10))


def test_disjoint_sets_have_their_number_alone(project: Path) -> None:
    answer = json.loads(run("--sd", "0.01", "--sets", "15", "--json"))
    assert answer["design"]["disjoint"]
    assert {option["repeats"] for option in answer["options"]} == {1}
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("repeats: 1", "repeats: 2"))
    assert json.loads(run("--sd", "0.01", "--sets", "15", "--json")) == answer
    (project / "params.yaml").write_text(text)
    printed = run("--sd", "0.01", "--sets", "15", "--difference", "0.05")
    assert "15 disjoint training sets" in printed
    assert "sets detect 5.00 points" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sd", "0.01", "--sets", "15", "--folds", "5"), "give it, or --folds"),
        ((), "name two runs"),
        (("mnist-mlp", "mnist-cnn2", "--sd", "0.1"), "name two runs"),
        (("mnist-mlp",), "a pilot needs two runs; got 1"),
        (("mnist-mlp", "mnist-vgg"), "got 'mnist-vgg'"),
        (("--sd", "0"), "must be a fraction between 0 and 1"),
        (("--sd", "0.01", "--difference", "0"), "difference to be detected must be a fraction"),
    ],
)
def test_what_cannot_be_planned_is_refused(project: Path, words: tuple[str, ...], message: str) -> None:
    assert message in " ".join(run(*words, status=2).split())


def test_a_pilot_of_too_few_or_other_folds_is_refused(finished: Path) -> None:
    table = read_folds(finished / "build" / "datasets" / "mnist" / "folds.npz")
    write_folds(finished / "build" / "datasets" / "mnist" / "folds.npz", FoldTable(table.ids, 1 - table.folds))
    with pytest.raises(InputError, match=r"fold 0 is not that of .*folds\.npz"):
        pilot_of_folds(finished / "build", A, B)
    shutil.rmtree(finished / "build/runs/mnist/mlp/fold-1")
    with pytest.raises(InputError, match="mnist-mlp and mnist-cnn2 have both finished, but there are 1"):
        pilot_of_folds(finished / "build", A, B)

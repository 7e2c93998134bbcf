"""What is put side by side: evaluations of the present networks only, and every file in its record."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.predictions.evaluated import EvaluatedRuns, read_evaluated
from shearbench.predictions.scores import Predictions, by_sample
from shearbench.records import read_json, read_record, write_sealed
from shearbench.stages import compare

RUNS = [("mechanical", "mlp"), ("mnist", "cnn2"), ("mnist", "mlp")]


@pytest.fixture
def evaluated(finished_once: Path) -> EvaluatedRuns:
    return read_evaluated(finished_once / "build", RUNS, networks=2)


def test_reference_comes_first_whatever_the_order_of_the_runs(evaluated: EvaluatedRuns) -> None:
    assert evaluated.datasets == ["mnist", "mechanical"]
    assert evaluated.models == ["mlp", "cnn2"]
    assert [run.dataset for run in evaluated.of_model("mlp")] == ["mnist", "mechanical"]
    assert [run.dataset for run in evaluated.of_model("cnn2")] == ["mnist"]
    assert evaluated.entry("mechanical")["load"] == "shear"


def test_predictions_by_digit_are_those_of_each_fold(evaluated: EvaluatedRuns) -> None:
    (run,) = (run for run in evaluated.runs if run.name == "mnist-cnn2")
    found = run.out_of_fold
    assert found.ids.tolist() == list(range(60))
    assert found.probabilities.shape == (1, 60, 10)
    for fold_run in run.fold_runs:
        rows = fold_run.out_of_fold.ids
        np.testing.assert_array_equal(found.probabilities[0, rows], fold_run.out_of_fold.probabilities)
    metrics = read_json(run.folder / "metrics.json")
    assert found.correct.mean() == pytest.approx(metrics["out_of_fold"]["accuracy_mean"])


def test_each_repeat_predicts_every_digit_once() -> None:
    def says(ids: list[int], digit: int) -> Predictions:
        return Predictions(np.array(ids), np.array(ids) % 10, np.eye(10, dtype=np.float32)[[digit] * len(ids)])

    found = by_sample([says([12, 3], 1), says([5], 2), says([5, 12], 3), says([3], 4)])
    assert found.ids.tolist() == [3, 5, 12]
    assert found.labels.tolist() == [3, 5, 2]
    assert found.classes.tolist() == [[1, 2, 1], [4, 3, 3]]


def test_refuses_an_evaluation_of_other_networks(finished: Path) -> None:
    path = finished / "build" / "evaluation" / "mnist" / "mlp" / "record.json"
    write_sealed(path, {**json.loads(path.read_text()), "fold_records": ["0", "1"]})
    with pytest.raises(InputError, match=r"run `dvc repro evaluate@mnist-mlp`"):
        read_evaluated(finished / "build", RUNS, networks=2)


def test_comparison_vouches_for_its_files_and_names_what_it_compared(finished_once: Path) -> None:
    folder = finished_once / "build" / "comparison"
    record = read_record(folder)
    assert set(record["evaluations"]) == {"mnist-mlp", "mnist-cnn2", "mechanical-mlp"}
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "record.json",
        *record["files"],
    }
    curves = pd.read_csv(folder / "learning_curves.csv")
    assert set(curves["dataset"] + "-" + curves["model"]) == set(record["evaluations"])


def test_comparing_again_gives_the_same_bytes(finished: Path, small_params: Params) -> None:
    before = read_record(finished / "build" / "comparison")["files"]
    compare.main(small_params, finished)
    assert read_record(finished / "build" / "comparison")["files"] == before

"""What is put side by side: evaluations of the present networks only, and every file in its record."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.errors import InputError
from shearbench.evaluation.scores import Predictions, by_digit
from shearbench.evaluation.suite import Suite, read_suite
from shearbench.params import Params
from shearbench.records import read_json, read_record
from shearbench.stages import compare

CELLS = [("mechanical", "mlp"), ("mnist", "cnn2"), ("mnist", "mlp")]


@pytest.fixture
def suite(finished_once: Path) -> Suite:
    return read_suite(finished_once / "build", CELLS, networks=2)


def test_reference_comes_first_whatever_the_order_of_the_cells(suite: Suite) -> None:
    assert suite.datasets == ["mnist", "mechanical"]
    assert suite.models == ["mlp", "cnn2"]
    assert [cell.dataset for cell in suite.of_model("mlp")] == ["mnist", "mechanical"]
    assert [cell.dataset for cell in suite.of_model("cnn2")] == ["mnist"]
    assert suite.entry("mechanical")["load"] == "shear"


def test_predictions_by_digit_are_those_of_each_fold(suite: Suite) -> None:
    (cell,) = (cell for cell in suite.cells if cell.name == "mnist-cnn2")
    found = cell.out_of_fold
    assert found.ids.tolist() == list(range(60))
    assert found.probabilities.shape == (1, 60, 10)
    for run in cell.runs:
        rows = run.out_of_fold.ids
        np.testing.assert_array_equal(found.probabilities[0, rows], run.out_of_fold.probabilities)
    metrics = read_json(cell.folder / "metrics.json")
    assert found.correct.mean() == pytest.approx(metrics["out_of_fold"]["accuracy_mean"])


def test_each_repeat_predicts_every_digit_once() -> None:
    def says(ids: list[int], digit: int) -> Predictions:
        return Predictions(np.array(ids), np.array(ids) % 10, np.eye(10, dtype=np.float32)[[digit] * len(ids)])

    found = by_digit([says([12, 3], 1), says([5], 2), says([5, 12], 3), says([3], 4)])
    assert found.ids.tolist() == [3, 5, 12]
    assert found.labels.tolist() == [3, 5, 2]
    assert found.classes.tolist() == [[1, 2, 1], [4, 3, 3]]


def test_refuses_an_evaluation_of_other_networks(finished: Path) -> None:
    path = finished / "build" / "evaluation" / "mnist" / "mlp" / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "fold_records": ["0", "1"]}))
    with pytest.raises(InputError, match=r"run `dvc repro evaluate@mnist-mlp`"):
        read_suite(finished / "build", CELLS, networks=2)


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

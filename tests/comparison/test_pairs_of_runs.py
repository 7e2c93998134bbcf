"""Pairs of runs: their accuracies are those of the stored predictions, and what must be refused is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.comparison import printed
from shearbench.comparison.table import compare_runs
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import read_json, read_npz, write_npz
from shearbench.stages import compare
from shearbench.statistics.runs import Design, Plan

ROPE = {"mnist": 0.002, "mechanical": 0.005}
RUNS = [("mnist", "mlp"), ("mnist", "cnn2"), ("mechanical", "mlp")]


def _fold_accuracies(root: Path, dataset: str, model: str) -> list[float]:
    folders = sorted((root / "build" / "runs" / dataset / model).glob("fold-*"))
    return [read_json(folder / "record.json")["metrics"]["validation_accuracy"] for folder in folders]


def test_each_pair_is_compared_once_with_the_accuracies_of_its_records(finished_once: Path) -> None:
    compared = compare_runs(finished_once / "build", RUNS, plan=Plan(Design(2), ROPE))
    pairs = [*compared.models, *compared.datasets]
    assert [(pair.kind, pair.within, pair.a, pair.b) for pair in pairs] == [
        ("models", "mnist", "mlp", "cnn2"),
        ("datasets", "mlp", "mnist", "mechanical"),
    ]
    mlp, cnn2 = (_fold_accuracies(finished_once, "mnist", model) for model in ("mlp", "cnn2"))
    assert pairs[0].mean_a == pytest.approx(np.mean(mlp))
    assert pairs[0].cross_validation.difference == pytest.approx(np.mean(mlp) - np.mean(cnn2))
    test = read_npz(finished_once / "build/evaluation/mnist/cnn2/test_predictions.npz")
    correct = (test["probabilities"].argmax(axis=2) == test["labels"]).mean()
    other = read_npz(finished_once / "build/evaluation/mnist/mlp/test_predictions.npz")
    expected = (other["probabilities"].argmax(axis=2) == other["labels"]).mean() - correct
    assert pairs[0].test_cases.difference == pytest.approx(expected)


def test_the_stage_writes_a_row_a_pair_with_verdict_and_rule(finished_once: Path) -> None:
    table = pd.read_csv(finished_once / "reports" / "pairs.csv")
    assert len(table) == 2
    assert set(table["verdict"]) <= {"better", "worse", "equivalent", "undecided"}
    assert table["rule"].str.len().min() > 10
    pairs = json.loads((finished_once / "reports" / "pairs.json").read_text())
    assert pairs["refused"] is None
    assert [row["verdict"] for row in pairs["rows"]] == table["verdict"].tolist()


def test_fewer_folds_than_planned_are_refused(finished_once: Path) -> None:
    with pytest.raises(InputError, match="fold-2"):
        compare_runs(finished_once / "build", RUNS, plan=Plan(Design(3), ROPE))


def test_a_test_digit_among_the_training_digits_is_refused_and_said(
    finished: Path, small_params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, path = finished / "build/samples/train/mnist.npz", finished / "build/samples/test/mnist.npz"
    samples = read_npz(path)
    samples["images"][3] = read_npz(train)["images"][7]
    write_npz(path, samples)
    with pytest.raises(InputError, match="1 of 20 test samples have the content of a training one"):
        compare_runs(finished / "build", RUNS, plan=Plan(Design(2), ROPE))
    monkeypatch.setattr(compare, "write_comparison", lambda *_, **__: None)  # pictures, which need no pairs
    compare.main(small_params, finished)
    assert "content of a training one" in json.loads((finished / "reports/pairs.json").read_text())["refused"]
    assert len(pd.read_csv(finished / "reports/comparison.csv")) == 3


def test_a_pair_of_datasets_of_other_digits_is_left_out_and_said(
    finished: Path, small_params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / "build/evaluation/mechanical/mlp/test_predictions.npz"
    predictions = read_npz(path)
    fewer = {name: np.delete(values, 0, axis=values.ndim // 2) for name, values in predictions.items()}
    write_npz(path, fewer)
    pairs = compare.pairs_of_runs(small_params, finished, RUNS)
    printed.print_pairs(pairs)
    assert [(row["a"], row["b"]) for row in pairs["rows"]] == [("mlp", "cnn2")]
    (left_out,) = pairs["unpaired"]
    assert left_out["reason"] == "their test samples are not the same, by id"
    output = " ".join(capsys.readouterr().out.split())
    assert "No verdict on mlp, mnist against mechanical: their test samples" in output

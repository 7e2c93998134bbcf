"""Calibration, reliability and coverage as they are tabulated for a run, against direct computation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from shearbench.analysis.calibration.summarise import coverage
from shearbench.predictions.calibration import apply_temperature, fit_temperature
from shearbench.predictions.folds import read_fold_runs
from shearbench.predictions.scores import Predictions
from shearbench.records import read_npz
from shearbench.statistics.proportions import wilson


@pytest.fixture
def folder(finished_once: Path) -> Path:
    return finished_once / "build" / "evaluation" / "mnist" / "mlp"


def test_each_network_has_the_temperature_of_its_own_fold(finished_once: Path, folder: Path) -> None:
    table = pd.read_csv(folder / "calibration.csv")
    test = read_npz(folder / "test_predictions.npz")
    assert table.groupby(["split", "stage"]).size().to_dict() == {
        ("out_of_fold", "before"): 2,
        ("test", "after"): 2,
        ("test", "before"): 2,
    }
    for fold_run in read_fold_runs(finished_once / "build" / "runs" / "mnist" / "mlp", 2):
        held_out = fold_run.out_of_fold
        temperature = fit_temperature(held_out.probabilities, held_out.labels)
        rows = table[table["fold"] == fold_run.fold].set_index(["split", "stage"])
        assert rows["temperature"].tolist() == pytest.approx([temperature] * 3)
        said = test["probabilities"][fold_run.fold].astype(np.float64)
        for stage, stated in (
            ("before", said / said.sum(axis=1, keepdims=True)),
            ("after", apply_temperature(said, temperature)),
        ):
            expected = log_loss(test["labels"], stated, labels=np.arange(10))
            assert rows.loc[("test", stage), "nll"] == pytest.approx(expected, rel=1e-5)
        right = said.argmax(axis=1) == test["labels"]
        assert rows.loc[("test", "after"), "accuracy"] == right.mean()  # a temperature changes no class


def test_reliability_counts_every_digit_once(folder: Path) -> None:
    table, scored = pd.read_csv(folder / "reliability.csv"), pd.read_csv(folder / "calibration.csv")
    for stage, bins in table.groupby("stage"):
        assert len(bins) == 15
        assert bins["n"].sum() == pytest.approx(20)
        accuracy = (bins["n"] * bins["accuracy"]).sum() / 20
        means = scored[(scored["split"] == "test") & (scored["stage"] == stage)]
        assert accuracy == pytest.approx(means["accuracy"].mean())
        some = bins[bins["n"] > 0]
        assert ((some["low"] < some["confidence"]) & (some["confidence"] <= some["high"])).all()
        assert ((some["accuracy_low"] <= some["accuracy"]) & (some["accuracy"] <= some["accuracy_high"])).all()


def test_coverage_answers_the_most_confident_first() -> None:
    # Of 4 digits, network 1 is right on the 3 it is surest of, network 2 on all but the surest.
    def network(right: list[bool]) -> Predictions:
        top = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
        stated = np.stack([top, 1 - top, *np.zeros((8, 4), np.float32)], axis=1)
        return Predictions(np.arange(4), np.where(right, 0, 1), stated)

    table = coverage([network([True, True, True, False]), network([False, True, True, True])]).set_index("coverage")
    assert table.loc[[0.25, 0.5, 0.75, 1.0], "n"].tolist() == [1, 2, 3, 4]
    expected = [(1 + 0) / 2, (1 + 1 / 2) / 2, (1 + 2 / 3) / 2, 3 / 4]
    assert table.loc[[0.25, 0.5, 0.75, 1.0], "accuracy_mean"].tolist() == pytest.approx(expected)
    assert table.loc[1.0, "accuracy_sd"] == 0
    assert table.loc[0.25, "accuracy_sd"] == pytest.approx(1 / np.sqrt(2))
    assert tuple(table.loc[1.0, ["accuracy_low", "accuracy_high"]]) == wilson(0.75, 4)
    assert table["n"].iloc[0] == 1  # 5 % of 4 digits is one

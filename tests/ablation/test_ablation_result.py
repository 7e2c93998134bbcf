"""An ablation's tables against hand-made predictions; the stage on a small project that was really trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from shearbench.ablation import output, result
from shearbench.ablation.output import accuracy_figure, gradients_figure, lags_figure
from shearbench.ablation.result import FoldPredictions
from shearbench.data.dataset import Dataset
from shearbench.errors import InputError
from shearbench.predictions.evaluated import Origins
from shearbench.predictions.scores import Predictions
from shearbench.records import read_npz, read_record
from shearbench.statistics.proportions import wilson
from shearbench.statistics.runs import Design, Plan

FOLDS, EACH = 3, 40
TEST = Dataset("a", np.arange(200, 300), np.zeros((100, 1, 28, 28), np.float32), np.arange(100) % 10)
PLAN = Plan(Design(FOLDS), {"a": 0.01, "b": 0.01})
IMAGES = {number: str(number).encode() for number in range(300)}
GROUPS = dict.fromkeys(range(300), -1)
ORIGINS = Origins(IMAGES, GROUPS)


def _probabilities(labels: np.ndarray, right: int) -> np.ndarray:
    """Probabilities of which the first ``right`` are right."""
    classes = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % 10)
    return np.eye(10, dtype=np.float32)[classes]


def _run(dataset: str, model: str, right: dict[str, list[int]]) -> Any:
    """A run whose fold k predicts right[way][k] of its 40 held-out samples correctly, and twice as many of the test."""
    fold_runs, predictions = [], []
    for fold in range(FOLDS):
        ids = np.arange(fold * EACH, (fold + 1) * EACH)
        labels = ids % 10
        record: dict[str, Any] = {
            "config": {"train_on": "rest", "architecture": "mlp", "width": 1.0, "options": {}},
            "dataset": dataset,
            "model": model,
            "fold": fold,
            "sizes": {"train": 80, "validation": 40},
            "hashes": {"data": dataset},
        }
        history = pd.DataFrame({"train_accuracy": [0.1, 0.75]})
        held_out = {bn_statistics: _probabilities(labels, counts[fold]) for bn_statistics, counts in right.items()}
        fold_runs.append(
            SimpleNamespace(
                record=record,
                fold=fold,
                history=history,
                is_network=True,
                out_of_fold=Predictions(ids, labels, held_out["as_trained"]),
            )
        )
        test = {bn_statistics: _probabilities(TEST.labels, 2 * counts[fold]) for bn_statistics, counts in right.items()}
        held_out = {
            bn_statistics: probabilities
            for bn_statistics, probabilities in held_out.items()
            if bn_statistics != "batch_statistics"
        }
        train = {bn_statistics: counts[fold] / EACH for bn_statistics, counts in right.items()}
        predictions.append(FoldPredictions(held_out, test, train, EACH, "cpu"))
    return result.RunPredictions(dataset, model, fold_runs, predictions, TEST)


@pytest.fixture
def runs() -> list[Any]:
    stale, mended = [4, 5, 6], [34, 35, 36]
    return [
        _run("a", "plain", {"as_trained": [36, 37, 35]}),
        _run("a", "deep", {"as_trained": stale, "batch_statistics": mended, "recalibrated": mended}),
        _run("b", "plain", {"as_trained": [36, 36, 35]}),
        _run("b", "deep", {"as_trained": mended, "recalibrated": mended}),
    ]


def test_accuracies_and_intervals_worked_out_by_hand(runs: list[Any]) -> None:
    table = result.accuracy_table(result.fold_table(runs), runs, ORIGINS)
    table = table.set_index(["dataset", "model", "split", "bn_statistics"])
    held_out, test = (table.loc["a", "deep", split, "as_trained"] for split in ("held_out", "test"))
    scores = np.array([4, 5, 6]) / EACH
    assert held_out[["mean", "sd"]].tolist() == pytest.approx([scores.mean(), scores.std(ddof=1)])
    # test: networks right on the first 8, 10 and 12 of 100 samples; 2 of them by 2/3 and 2 by 1/3 of the networks
    u = np.repeat([1, 2 / 3, 1 / 3, 0], [8, 2, 2, 88])
    accuracies, columns = np.array([0.08, 0.1, 0.12]), u.var(ddof=1)
    square = 100 * accuracies.var(ddof=1)
    total = sum(100 * a * (1 - a) for a in accuracies) + 100 * 3 * accuracies.var()
    interaction = (total - 2 * square - 3 * 99 * columns) / (2 * 99)
    factor = 1 / 3 + 0.5 * 40 / 80
    training, samples = factor * max(0, square - interaction) / 100, columns / 100
    df = (samples + training) ** 2 / (samples**2 / 99 + (factor * square / 100) ** 2 / 2)
    expected = wilson(0.1, min(300, 0.09 / (samples + training)), df=min(max(df, 2), 99))
    assert test[["low", "high"]].tolist() == pytest.approx(list(expected))
    assert held_out["high"] - held_out["low"] > test["high"] - test["low"] - 0.1
    assert held_out["n"] == FOLDS * EACH
    assert table.loc["a", "deep", "test", "recalibrated"]["mean"] == pytest.approx(0.7)
    assert table.loc["a", "deep", "test", "recalibrated"]["n"] == 100
    assert table.loc["a", "plain", "train", "during_training"][["mean", "n"]].tolist() == [0.75, 80]
    assert ("a", "plain", "test", "recalibrated") not in table.index
    assert table["high"].max() <= 1


def test_a_curve_has_the_runs_of_one_architecture_by_size() -> None:
    found = [
        _run("a", name, {"as_trained": [right] * FOLDS}) for name, right in (("all", 36), ("half", 30), ("svm", 9))
    ]
    for run, (architecture, size) in zip(found, (("mlp", 80), ("mlp", 40), ("sklearn.svm.SVC", 80)), strict=True):
        for fold_run in run.fold_runs:
            fold_run.record["config"]["architecture"], fold_run.record["sizes"]["train"] = architecture, size
    accuracies = result.accuracy_table(result.fold_table(found), found, ORIGINS)
    table = result.train_size_table(accuracies, found)
    assert table[["curve", "model", "train_size"]].to_numpy().tolist() == [
        ["all", "half", 40],
        ["all", "all", 80],
        ["svm", "svm", 80],
    ]
    assert table["mean"].tolist() == pytest.approx([30 / EACH, 36 / EACH, 9 / EACH])
    for fold_run in found[1].fold_runs:
        fold_run.record["config"]["width"] = 0.5
    assert result.train_size_table(accuracies, found)["curve"].tolist() == ["half", "all", "svm"]


def test_three_of_five_folds_overlap_as_five_do(runs: list[Any]) -> None:
    for fold_run in runs[1].fold_runs:
        fold_run.record["sizes"]["train"] = 160
    table = result.accuracy_table(result.fold_table(runs), runs, ORIGINS)
    table = table.set_index(["dataset", "model", "split", "bn_statistics"])
    row, scores = table.loc["a", "deep", "train", "recalibrated"], np.array([34, 35, 36]) / EACH
    error = scores.std(ddof=1) * (1 / 3 + 1 / 4) ** 0.5
    low, high = (scores.mean() + sign * stats.t.ppf(0.975, 2) * error for sign in (-1, 1))
    assert row[["low", "high"]].tolist() == pytest.approx([low, min(1, high)])


def test_only_nested_parts_make_a_curve() -> None:
    """A network that holds out samples for early stopping trains on fewer, but on no nested part of them."""
    found = [_run("a", name, {"as_trained": [30] * FOLDS}) for name in ("all", "stopped")]
    for run, samples in zip(found, (80, 60), strict=True):
        for fold_run in run.fold_runs:
            fold_run.record["config"]["architecture"], fold_run.record["sizes"]["train"] = "mlp", samples
    assert "train_size.csv" not in output.files_of("x", found, [], ORIGINS, diagnosed=False)
    for fold_run in found[1].fold_runs:
        fold_run.record["config"]["train_size"] = 0.75
    assert "train_size.csv" in output.files_of("x", found, [], ORIGINS, diagnosed=False)


def test_every_family_has_its_pairs_and_its_own_holm(runs: list[Any]) -> None:
    rows = pd.DataFrame(result.compare(runs, PLAN, ORIGINS))
    pairs = {
        family: list(zip(part["within"], part["a"], part["b"], strict=True)) for family, part in rows.groupby("family")
    }
    assert pairs == {
        "models": [("a", "plain", "deep"), ("b", "plain", "deep")],
        "recalibration": [("a", "deep", "deep, recalibrated"), ("b", "deep", "deep, recalibrated")],
        "recalibrated models": [("a", "plain", "deep, recalibrated"), ("b", "plain", "deep, recalibrated")],
        "datasets": [("plain", "a", "b"), ("deep", "a", "b")],
    }
    mended = rows[(rows["family"] == "recalibration") & (rows["within"] == "a")].iloc[0]
    assert mended["difference"] == pytest.approx((-30 * FOLDS - 60) / (FOLDS * EACH + 100))  # held out, and on the test
    assert mended["p"] <= mended["p_adjusted"] <= min(1, 2.1 * mended["p"])
    assert mended["verdict"] == "worse"
    same = rows[(rows["family"] == "recalibration") & (rows["within"] == "b")].iloc[0]
    assert (same["difference"], same["verdict"]) == (0, "undecided")  # of 220 samples, two are not within the region


def test_a_test_digit_that_was_trained_on_is_refused(runs: list[Any]) -> None:
    with pytest.raises(InputError, match="have the content of a training one"):
        result.compare(runs, PLAN, Origins({**IMAGES, 250: IMAGES[3]}, GROUPS))


def test_the_stage_leaves_numbers_pictures_and_predictions(asked: Path) -> None:
    folder = asked / "build" / "ablation_results" / "normalisation"
    record = read_record(folder)
    assert set(record["files"]) == {
        *("accuracies.csv", "folds.csv", "pairs.csv", "gradients.csv", "lags.csv", "modes.csv"),
        *("figures/accuracies.png", "figures/gradients.png", "figures/lags.png", "figures/modes.png"),
    }
    assert (record["folds"], record["of_folds"]) == (2, 2)
    folds = pd.read_csv(folder / "folds.csv")
    predictions = read_npz(folder / "predictions" / "mechanical_detrend-deep.npz")
    for number, stored in enumerate(predictions["recalibrated"]):
        chosen = folds[
            (folds["dataset"] == "mechanical_detrend")
            & (folds["model"] == "deep")
            & (folds["fold"] == number)
            & (folds["split"] == "test")
            & (folds["bn_statistics"] == "recalibrated")
        ]
        assert chosen["accuracy"].tolist() == [(stored.argmax(axis=1) == predictions["labels"]).mean()]


def test_as_trained_is_what_training_stored(asked: Path) -> None:
    folds = pd.read_csv(asked / "build" / "ablation_results" / "normalisation" / "folds.csv")
    fold_runs = asked / "build" / "ablations" / "normalisation"
    chosen = folds[(folds["split"] == "held_out") & (folds["bn_statistics"] == "as_trained")]
    assert len(chosen) == 2 * 2 * 2
    for row in chosen.itertuples():
        record = read_record(fold_runs / row.dataset / row.model / f"fold-{row.fold}")
        assert row.accuracy == pytest.approx(record["metrics"]["validation_accuracy"])


def _drawn(runs: list[Any]) -> Any:
    folds = result.fold_table(runs)
    return accuracy_figure("title", result.accuracy_table(folds, runs, ORIGINS), folds)


def test_the_scale_of_accuracies_holds_everything_drawn_and_says_where_it_begins(runs: list[Any]) -> None:
    low = _drawn(runs).axes
    assert (low[-1].get_xlim()[0], "begins" in low[-1].get_xlabel()) == (-2, False)
    high = _drawn([_run(name, "plain", {"as_trained": [36, 36, 36]}) for name in ("a", "b")]).axes
    assert (
        high[-1].get_xlabel().startswith("accuracy in %; the scale begins at 60\n")
    )  # the interval of 72 % of 100 test samples begins at 62 %
    assert 55 < high[-1].get_xlim()[0] < 60


def test_one_dataset_has_its_networks_in_one_panel(runs: list[Any]) -> None:
    (panel,) = _drawn(runs[:2]).axes
    assert [label.get_text() for label in panel.get_yticklabels()] == ["plain", "deep"]
    assert panel.get_title(loc="left") == "a"
    gradients = pd.DataFrame({"dataset": "a", "model": ["plain", "deep"] * 2, "norm": [1.0, 2.0, 3.0, 4.0]})
    (panel,) = gradients_figure("title", gradients).axes
    lines = {line.get_label(): list(line.get_ydata()) for line in panel.get_lines()}
    assert lines == {"plain": [1.0, 3.0], "deep": [2.0, 4.0]}


@pytest.mark.parametrize(("deviation", "panels"), [(1.05, 1), (1.5, 2), (0.5, 2)])
def test_running_deviations_have_panels_where_they_differ_and_are_quoted_where_not(
    deviation: float, panels: int
) -> None:
    rows = [("bn1", 0.1, 1.0), ("bn2", 2.0, deviation)]
    lags = pd.DataFrame(rows, columns=["layer", "mean", "deviation"]).assign(epoch=1, dataset="fields", model="deep")
    drawn = lags_figure("a title", lags)
    assert len([axes for axes in drawn.axes if axes.images]) == panels
    assert ("0.00 to 0.07" in drawn.get_suptitle()) == (panels == 1)

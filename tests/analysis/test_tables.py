"""Tables against values worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from shearbench.analysis.learning.summarise import learning_curves
from shearbench.analysis.scores import summarise as tables
from shearbench.plotting.scores import over_folds
from shearbench.predictions.scores import BySample, Predictions, Scores, by_sample, score
from shearbench.statistics.proportions import wilson
from shearbench.statistics.runs import split_variance

DIGITS = list(range(10))
OFF = [1, *DIGITS[1:]]


def says(labels: list[int], classes: list[int], first_id: int = 0) -> Predictions:
    """Return predictions that give the class named a probability of 0.91 and each other 0.01."""
    probabilities = np.full((len(labels), 10), 0.01, np.float32)
    probabilities[np.arange(len(labels)), classes] = 0.91
    return Predictions(first_id + np.arange(len(labels)), np.array(labels), probabilities)


READ = {
    "out_of_fold": [says(DIGITS, OFF), says(DIGITS, DIGITS, first_id=10)],
    "test": [says(DIGITS * 2, DIGITS * 2), says(DIGITS * 2, OFF + DIGITS)],
}
"""Two folds of 10 + 10 held-out digits, one error in the first; 20 test digits, one error in the second."""


@pytest.fixture
def scores() -> dict[str, list[Scores]]:
    return {split: [score(each) for each in networks] for split, networks in READ.items()}


def by_digit_of(repeats: int) -> dict[str, BySample]:
    test = np.stack([each.probabilities for each in READ["test"] * repeats])
    held_out = by_sample(READ["out_of_fold"] * repeats)
    return {"out_of_fold": held_out, "test": BySample(np.arange(20), np.array(DIGITS * 2), test)}


def test_metrics_name_their_n_and_their_interval(scores: dict[str, list[Scores]]) -> None:
    recorded = [{"train_accuracy": 1.0, "train_loss": 0.1}, {"train_accuracy": 0.5, "train_loss": 0.3}]
    metrics = tables.metrics(scores, recorded, repeats=1)
    cv, test = metrics["out_of_fold"], metrics["test"]
    assert (cv["n"], test["n"], cv["folds"]) == (20, 20, 2)
    assert cv["accuracy_mean"] == pytest.approx(0.95)
    assert cv["accuracy_sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert test["accuracy_mean"] == pytest.approx(0.975)
    assert metrics["train"]["accuracy_mean"] == 0.75
    json.dumps(metrics, allow_nan=False)


def test_fold_metrics_have_a_row_for_each_fold_and_split(scores: dict[str, list[Scores]]) -> None:
    table = tables.fold_metrics(scores)
    assert list(table.columns) == ["fold", "split", "n", "accuracy", "loss", "macro_f1", "balanced_accuracy"]
    assert table["accuracy"].tolist() == [0.9, 1.0, 1.0, 0.95]


def test_per_class_counts_each_digit_once(scores: dict[str, list[Scores]]) -> None:
    table = tables.per_class(scores, by_digit_of(1), DIGITS, seed=0).set_index(["split", "class"])
    assert table["n"].tolist() == [2] * 20
    zero = table.loc[("out_of_fold", 0)]
    assert (zero["recall"], zero["precision"]) == (0.5, 0.5)  # 0 and 1; never predicted, so 0, and 1
    assert zero["recall_sd"] == pytest.approx(1 / np.sqrt(2))
    assert (zero["recall_low"], zero["recall_high"]) == wilson(0.5, 2)
    assert (zero["predicted"], table.loc[("test", 1), "predicted"]) == (1, 2.5)
    assert (zero["precision_low"], zero["precision_high"]) == wilson(0.5, 1)
    low, high = wilson(0.5 / 1.5, 2)  # F1 is 0 and 1, so 0.5; two digits are 0s or taken for one
    assert (zero["f1_low"], zero["f1_high"]) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
    losses = -np.log(np.float32([0.01, 0.91]).astype(np.float64))
    assert zero["loss"] == pytest.approx(losses.mean())
    assert losses[1] <= zero["loss_low"] < zero["loss"] < zero["loss_high"] <= losses[0]


def test_a_class_without_digits_has_no_scores_and_no_intervals() -> None:
    nines = [says([0, 9], [0, 9]), says([0, 9], [9, 9], first_id=2)]
    other = [Predictions(each.ids, np.array([0, 0]), each.probabilities) for each in nines]
    said = BySample(np.arange(2), np.array([0, 0]), other[0].probabilities[np.newaxis])
    table = tables.per_class(
        {"out_of_fold": [score(each) for each in other], "test": [score(each) for each in other]},
        {"out_of_fold": by_sample(other), "test": said},
        DIGITS,
        seed=0,
    ).set_index(["split", "class"])
    none = table.loc[("out_of_fold", 9)]
    assert none["n"] == 0
    assert none[["recall", "f1", "loss", "recall_low", "f1_high", "loss_low"]].isna().all()
    assert none["precision"] == 0  # it is predicted, and never rightly
    assert table.loc[("test", 0), "n"] == 2


def test_with_two_repeats_a_digit_is_read_twice_and_counts_once(scores: dict[str, list[Scores]]) -> None:
    twice = {split: folds * 2 for split, folds in scores.items()}
    metrics = tables.metrics(twice, [{"train_accuracy": 1.0, "train_loss": 0.1}] * 4, repeats=2)
    assert (metrics["out_of_fold"]["n"], metrics["test"]["n"]) == (20, 20)
    assert metrics["out_of_fold"]["accuracy_sd"] == pytest.approx(0.1 / np.sqrt(2))  # within a repeat, not over all
    table = tables.per_class(twice, by_digit_of(2), DIGITS, seed=0)
    assert table["n"].tolist() == [2] * 20
    assert table["predicted"].tolist() == [1, 3, *[2] * 8, 1.5, 2.5, *[2] * 8]
    assert table["recall_low"][0] == wilson(0.5, 2)[0]
    assert table["recall_sd"][0] == pytest.approx(1 / np.sqrt(2))


def test_the_spread_pairs_the_predictions_of_one_digit_by_its_id() -> None:
    def predictions(ids: list[int], right: list[bool]) -> Predictions:
        probabilities = np.eye(10, dtype=np.float32)[[0 if each else 1 for each in right]]
        return Predictions(np.array(ids), np.zeros(len(ids), np.int64), probabilities)

    repeats = [
        [predictions([3, 0], [True, False]), predictions([1, 2], [True, True])],
        [predictions([0, 1], [False, True]), predictions([3, 2], [True, True])],
    ]
    parts = tables.spread(by_sample([each for folds in repeats for each in folds]))
    correct = np.array([[False, True, True, True], [False, True, True, True]])
    split = split_variance(correct, np.array([[0, 1, 1, 0], [0, 0, 1, 1]]))
    assert parts["accuracy_sd_data"] ** 2 == pytest.approx(split.data) == pytest.approx(0.25 / 2)
    assert parts["accuracy_sd_training"] ** 2 == pytest.approx(split.training)


def test_confusion_sums_over_folds(scores: dict[str, list[Scores]]) -> None:
    table = tables.confusion(scores["test"], DIGITS).set_index(["true", "predicted"])
    assert table.loc[(0, 0)].tolist() == [3, 0.75]
    assert table.loc[(0, 1)].tolist() == [1, 0.25]
    assert table["count"].sum() == 40


def test_learning_curves_when_a_fold_stops_early() -> None:
    def history(losses: list[float]) -> pd.DataFrame:
        epochs = range(1, len(losses) + 1)
        values = dict.fromkeys(("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"), losses)
        return pd.DataFrame({"epoch": epochs, **values})

    curves = learning_curves([history([1.0, 0.5]), history([3.0])])
    train = curves[curves["split"] == "train"].set_index("epoch")
    assert train["folds"].tolist() == [2, 1]
    assert train["loss_mean"].tolist() == [2.0, 0.5]
    assert train["loss_sd"].tolist() == [pytest.approx(np.sqrt(2)), 0.0]
    assert curves["split"].tolist() == ["train", "train", "validation", "validation"]
    assert over_folds(curves) == "2 folds, late epochs over those that had not stopped"
    assert over_folds(learning_curves([history([1.0]), history([3.0])])) == "2 folds"

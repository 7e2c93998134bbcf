"""Tables against values worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from shearbench.evaluation import tables
from shearbench.evaluation.scores import Predictions, Scores, score
from shearbench.statistics.proportions import wilson
from shearbench.statistics.variance import split_variance


def scores_of(labels: list[int], classes: list[int]) -> Scores:
    probabilities = np.zeros((len(labels), 10), np.float32)
    probabilities[np.arange(len(labels)), classes] = 1
    return score(Predictions(np.arange(len(labels)), np.array(labels), probabilities))


@pytest.fixture
def scores() -> dict[str, list[Scores]]:
    """Two folds of 10 + 10 held-out digits, one error in the first; 20 test digits, one error in the second."""
    digits = list(range(10))
    off = [1, *digits[1:]]
    return {
        "out_of_fold": [scores_of(digits, off), scores_of(digits, digits)],
        "test": [scores_of(digits * 2, digits * 2), scores_of(digits * 2, off + digits)],
    }


def test_metrics_name_their_n_and_their_interval(scores: dict[str, list[Scores]]) -> None:
    kept = [{"train_accuracy": 1.0, "train_loss": 0.1}, {"train_accuracy": 0.5, "train_loss": 0.3}]
    metrics = tables.metrics(scores, kept, repeats=1)
    cv, test = metrics["out_of_fold"], metrics["test"]
    assert (cv["n"], test["n"], cv["folds"]) == (20, 20, 2)
    assert cv["accuracy_mean"] == pytest.approx(0.95)
    assert cv["accuracy_sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert test["accuracy_mean"] == pytest.approx(0.975)
    assert (test["accuracy_low"], test["accuracy_high"]) == wilson(0.975, 20)
    assert metrics["train"]["accuracy_mean"] == 0.75
    json.dumps(metrics, allow_nan=False)


def test_fold_metrics_have_a_row_for_each_fold_and_split(scores: dict[str, list[Scores]]) -> None:
    table = tables.fold_metrics(scores)
    assert list(table.columns) == ["fold", "split", "n", "accuracy", "loss", "macro_f1"]
    assert table["accuracy"].tolist() == [0.9, 1.0, 1.0, 0.95]


def test_per_class_counts_each_digit_once(scores: dict[str, list[Scores]]) -> None:
    table = tables.per_class(scores, repeats=1).set_index(["split", "class"])
    assert table["n"].tolist() == [2] * 20
    zero = table.loc[("out_of_fold", 0)]
    assert (zero["recall"], zero["precision"]) == (0.5, 0.5)  # 0 and 1; never predicted, so 0, and 1
    assert zero["recall_sd"] == pytest.approx(1 / np.sqrt(2))
    assert (zero["recall_low"], zero["recall_high"]) == wilson(0.5, 2)


def test_with_two_repeats_a_digit_is_read_twice_and_counts_once(scores: dict[str, list[Scores]]) -> None:
    twice = {split: folds * 2 for split, folds in scores.items()}
    metrics = tables.metrics(twice, [{"train_accuracy": 1.0, "train_loss": 0.1}] * 4, repeats=2)
    assert (metrics["out_of_fold"]["n"], metrics["test"]["n"]) == (20, 20)
    assert (metrics["out_of_fold"]["accuracy_low"], metrics["out_of_fold"]["accuracy_high"]) == wilson(0.95, 20)
    assert metrics["out_of_fold"]["accuracy_sd"] == pytest.approx(0.1 / np.sqrt(2))  # within a repeat, not over all
    assert tables.per_class(twice, repeats=2)["n"].tolist() == [2] * 20


def test_the_spread_pairs_the_predictions_of_one_digit_by_its_id() -> None:
    def predictions(ids: list[int], right: list[bool]) -> Predictions:
        probabilities = np.eye(10, dtype=np.float32)[[0 if each else 1 for each in right]]
        return Predictions(np.array(ids), np.zeros(len(ids), np.int64), probabilities)

    repeats = [
        [predictions([3, 0], [True, False]), predictions([1, 2], [True, True])],
        [predictions([0, 1], [False, True]), predictions([3, 2], [True, True])],
    ]
    parts = tables.spread([each for folds in repeats for each in folds], repeats=2)
    correct = np.array([[[False, True, True, True]], [[False, True, True, True]]])
    split = split_variance(correct, np.array([[0, 1, 1, 0], [0, 0, 1, 1]]))
    assert parts["accuracy_sd_data"] ** 2 == pytest.approx(split.data) == pytest.approx(0.25 / 2)
    assert parts["accuracy_sd_training"] ** 2 == pytest.approx(split.training)


def test_confusion_sums_over_folds(scores: dict[str, list[Scores]]) -> None:
    table = tables.confusion(scores["test"]).set_index(["true", "predicted"])
    assert table.loc[(0, 0)].tolist() == [3, 0.75]
    assert table.loc[(0, 1)].tolist() == [1, 0.25]
    assert table["count"].sum() == 40


def test_learning_curves_when_a_fold_stops_early() -> None:
    def history(losses: list[float]) -> pd.DataFrame:
        epochs = range(1, len(losses) + 1)
        values = dict.fromkeys(("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"), losses)
        return pd.DataFrame({"epoch": epochs, **values})

    curves = tables.learning_curves([history([1.0, 0.5]), history([3.0])])
    train = curves[curves["split"] == "train"].set_index("epoch")
    assert train["folds"].tolist() == [2, 1]
    assert train["loss_mean"].tolist() == [2.0, 0.5]
    assert train["loss_sd"].tolist() == [pytest.approx(np.sqrt(2)), 0.0]
    assert curves["split"].tolist() == ["train", "train", "validation", "validation"]

"""Misclassified digits and suspicious labels, worked out by hand, and their figure where there are none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.analysis.scores.summarise import misclassified, suspicious
from shearbench.predictions.scores import BySample
from shearbench.records import read_npz


def predictions_of(labels: list[int], *networks: list[dict[int, float]]) -> BySample:
    """Return predictions of samples 10, 11, ...: the probabilities of some classes, for each sample."""
    probabilities = np.zeros((len(networks), len(labels), 10), np.float32)
    for network, samples in enumerate(networks):
        for row, stated in enumerate(samples):
            probabilities[network, row, list(stated)] = list(stated.values())
    return BySample(10 + np.arange(len(labels)), np.array(labels), probabilities)


def test_misclassified_digits_the_surest_first() -> None:
    found = misclassified(
        predictions_of(
            [4, 4, 7, 1],
            [{4: 0.9, 9: 0.1}, {9: 0.6, 4: 0.4}, {2: 0.8, 7: 0.2}, {7: 0.7, 1: 0.3}],
            [{4: 0.6, 9: 0.4}, {4: 0.9, 9: 0.1}, {2: 0.9, 7: 0.1}, {2: 0.9, 1: 0.1}],
            [{4: 0.5, 9: 0.3}, {4: 1.0}, {1: 0.7, 7: 0.3}, {1: 0.9, 7: 0.1}],
        )
    )
    assert found["id"].tolist() == [12, 13, 11]
    assert found["predicted"].tolist() == [2, 2, 9]  # of digit 13, 7 and 2 have a vote each, and 2 is the more probable
    assert found["confidence"].tolist() == pytest.approx([1.7 / 3, 0.9 / 3, 0.7 / 3])
    assert found["agree"].tolist() == [2, 1, 1]
    assert found["wrong"].tolist() == [3, 2, 1]
    assert found["networks"].tolist() == [3, 3, 3]


def test_no_digit_is_misclassified_or_suspicious_where_all_is_right() -> None:
    right = predictions_of([3, 5], [{3: 0.9, 5: 0.1}, {5: 0.8, 3: 0.2}])
    assert misclassified(right).empty
    assert suspicious(right).empty
    assert list(misclassified(right).columns) == ["id", "true", "predicted", "confidence", "agree", "wrong", "networks"]


def test_suspicious_labels_reach_the_confidence_of_their_class() -> None:
    # Digits labelled 1 get a mean probability of 1 of (0.9 + 0.5) / 2 = 0.7, those labelled 2 one of 2 of 0.4.
    found = suspicious(
        predictions_of(
            [1, 1, 2, 2, 2],
            [{1: 0.9}, {1: 0.5, 2: 0.45}, {2: 0.9}, {2: 0.2, 1: 0.75}, {2: 0.1, 1: 0.6}],
        )
    )
    assert found["id"].tolist() == [13]  # 11 is rather a 1, and 14 is a 1 with less than the confidence of a 1
    (row,) = found.to_dict("records")
    assert (row["label"], row["suggested"]) == (2, 1)
    assert (row["confidence"], row["threshold"], row["label_probability"]) == pytest.approx((0.75, 0.7, 0.2))


def test_repeats_are_averaged_before_a_label_is_suspected() -> None:
    once, again = [{1: 0.9}, {1: 1.0}], [{1: 0.9}, {2: 0.9, 1: 0.1}]
    assert suspicious(predictions_of([1, 2], once, again)).empty  # threshold of 1: 0.9; mean of sample 11: 0.55
    assert suspicious(predictions_of([1, 2], once, [{1: 0.9}, {1: 0.95}]))["id"].tolist() == [11]


def test_table_of_a_run_lists_every_digit_that_a_network_misclassifies(finished_once: Path) -> None:
    folder = finished_once / "build" / "evaluation" / "mechanical" / "mlp"
    stored = read_npz(folder / "test_predictions.npz")
    wrong = stored["probabilities"].argmax(axis=2) != stored["labels"]
    table = pd.read_csv(folder / "misclassified.csv")
    assert sorted(table["id"]) == stored["ids"][wrong.any(axis=0)].tolist()
    assert table["wrong"].sum() == wrong.sum()

"""Scores against values counted by hand and against scikit-learn and scipy."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from shearbench.predictions.scores import Predictions, rates, score


def predictions(labels: list[int], classes: list[int], confidence: float = 0.91) -> Predictions:
    """Predictions that give their class ``confidence`` and share the rest evenly."""
    probabilities = np.full((len(labels), 10), (1 - confidence) / 9, np.float32)
    probabilities[np.arange(len(labels)), classes] = confidence
    return Predictions(np.arange(len(labels)), np.array(labels), probabilities)


def test_counted_by_hand() -> None:
    # three zeros, of which one is taken for a 1; one 1, read right
    scores = score(predictions([0, 0, 0, 1], [0, 0, 1, 1]))
    assert scores.n == 4
    assert scores.accuracy == 0.75
    assert scores.support.tolist() == [3, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert scores.precision[:2] == pytest.approx([1.0, 0.5])
    assert scores.recall[:2] == pytest.approx([2 / 3, 1.0])
    assert scores.f1[:2] == pytest.approx([0.8, 2 / 3])
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores.confusion[:2, :2].tolist() == [[2, 1], [0, 1]]
    right, wrong = -np.log(0.91), -np.log(0.01)
    assert scores.loss == pytest.approx((3 * right + wrong) / 4, rel=1e-6)
    assert scores.class_loss[:2] == pytest.approx([(2 * right + wrong) / 3, right], rel=1e-6)
    assert np.isnan(scores.recall[2:]).all()
    assert np.isnan(scores.class_loss[2:]).all()


def test_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(10), 200).astype(np.float32)
    labels = rng.integers(0, 10, 200)
    ours = score(Predictions(np.arange(200), labels, probabilities)).loss
    exact = probabilities.astype(np.float64)
    assert ours == pytest.approx(log_loss(labels, exact / exact.sum(1, keepdims=True), labels=range(10)), rel=1e-5)


def test_certain_and_wrong_costs_a_finite_loss() -> None:
    assert score(predictions([0], [1], confidence=1.0)).loss == pytest.approx(-np.log(np.finfo(np.float32).tiny))


def test_rates_of_a_class_without_samples_are_zero() -> None:
    assert rates(np.array([[1, 3], [0, 0]])).tolist() == [[0.25, 0.75], [0, 0]]

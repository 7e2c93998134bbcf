"""Calibration against closed forms, values worked out by hand and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss, log_loss

from shearbench.errors import InputError
from shearbench.predictions.calibration import (
    COLDEST,
    HOTTEST,
    accuracy_at_coverage,
    apply_temperature,
    brier_score,
    error_if_calibrated,
    fit_temperature,
    reliability,
)


def random_network(n: int, *, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of logits, ``scale`` times too large, and labels drawn from the right ones."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(n, 10)) * 2
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    stated = np.exp(scale * logits)
    return stated / stated.sum(axis=1, keepdims=True), labels


def test_temperature_where_it_is_known_in_closed_form() -> None:
    # Always 0.9 for class 0 of two, right in 3 of 4: the best inverse temperature b has 9^b / (9^b + 1) = 3/4.
    probabilities, labels = np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])
    temperature = fit_temperature(probabilities, labels)
    assert temperature == pytest.approx(np.log(9) / np.log(3))
    assert apply_temperature(probabilities, temperature) == pytest.approx(np.array([[0.75, 0.25]] * 4))


def test_temperature_undoes_the_scale_of_the_logits() -> None:
    probabilities, labels = random_network(20_000, scale=2.5)
    assert fit_temperature(probabilities, labels) == pytest.approx(2.5, rel=0.03)


def test_temperature_is_that_of_scikit_learn() -> None:
    probabilities, labels = random_network(300, scale=2.5)

    class Stated(ClassifierMixin, BaseEstimator):
        """Hands its input on as what a network said."""

        def fit(self, rows: np.ndarray, labels: np.ndarray) -> "Stated":
            self.classes_ = np.unique(labels)
            return self

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return rows.argmax(axis=1)

        def predict_proba(self, rows: np.ndarray) -> np.ndarray:
            return rows

    stated = FrozenEstimator(Stated().fit(probabilities, labels))
    theirs = CalibratedClassifierCV(stated, method="temperature", ensemble=False)
    expected = theirs.fit(probabilities, labels).predict_proba(probabilities)
    assert apply_temperature(probabilities, fit_temperature(probabilities, labels)) == pytest.approx(
        expected, abs=1e-4
    )  # theirs is log(p + eps)


def test_temperature_has_ends_where_there_is_no_best_one() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert fit_temperature(probabilities, np.array([0, 1])) == COLDEST  # no error: the colder the better
    assert fit_temperature(probabilities, np.array([1, 0])) == HOTTEST  # all wrong: the hotter the better
    underflow = np.array([[1.0, 0.0], [1.0, 0.0]], np.float32)
    assert np.isfinite(apply_temperature(underflow, fit_temperature(underflow, np.array([0, 1])))).all()


def test_temperature_refuses_what_it_cannot_fit() -> None:
    with pytest.raises(InputError, match=r"n >= 1 labels, got \(0, 10\)"):
        fit_temperature(np.zeros((0, 10)), np.zeros(0, np.int64))
    with pytest.raises(InputError, match=r"got \(3, 10\) and \(2,\)"):
        fit_temperature(np.full((3, 10), 0.1), np.zeros(2, np.int64))
    for temperature in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="must be a positive number"):
            apply_temperature(np.full((1, 10), 0.1), temperature)


@given(st.floats(0.3, 10))  # below, small probabilities underflow and cannot come back
def test_tempering_keeps_the_class_and_1_keeps_all(temperature: float) -> None:
    probabilities, _ = random_network(20, scale=1)
    changed = apply_temperature(probabilities, temperature)
    assert np.array_equal(changed.argmax(axis=1), probabilities.argmax(axis=1))
    assert changed.sum(axis=1) == pytest.approx(1)
    assert apply_temperature(probabilities, 1.0) == pytest.approx(probabilities, abs=1e-6)
    back = apply_temperature(changed, 1 / temperature)
    assert back == pytest.approx(probabilities, abs=1e-6)


def test_reliability_by_hand() -> None:
    # Two bins: (0, 0.5] has 0.4 wrong and 0.5 right; (0.5, 1] has 0.8 right, 1.0 right, 0.9 wrong.
    bins = reliability(np.array([0.4, 0.5, 0.8, 1.0, 0.9]), np.array([False, True, True, True, False]), bins=2)
    assert bins.count.tolist() == [2, 3]
    assert bins.confidence == pytest.approx([0.45, 0.9])
    assert bins.accuracy == pytest.approx([1 / 2, 2 / 3])
    assert bins.error == pytest.approx((2 * 0.05 + 3 * (0.9 - 2 / 3)) / 5)


def test_reliability_is_that_of_scikit_learn() -> None:
    probabilities, labels = random_network(500, scale=1.5)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    ours = reliability(confidence, correct)
    accuracy, stated = calibration_curve(correct, confidence, n_bins=15)
    some = ours.count > 0
    assert (ours.accuracy[some], ours.confidence[some]) == (pytest.approx(accuracy), pytest.approx(stated))
    assert np.isnan(ours.accuracy[~some]).all()


def test_brier_score_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    assert brier_score(probabilities, np.array([0, 1])) == pytest.approx((0.09 + 0.04 + 0.01 + 1 + 1) / 2)


def test_brier_score_is_that_of_scikit_learn() -> None:
    probabilities, labels = random_network(50, scale=1)
    expected = brier_score_loss(labels, probabilities, labels=np.arange(10), scale_by_half=False)
    assert brier_score(probabilities, labels) == pytest.approx(expected)


def test_fitting_lowers_the_loss_of_what_it_was_fitted_to() -> None:
    probabilities, labels = random_network(300, scale=2.5)
    after = apply_temperature(probabilities, fit_temperature(probabilities, labels))
    losses = [log_loss(labels, each, labels=np.arange(10)) for each in (probabilities, after)]
    assert losses[1] < losses[0]
    assert brier_score(after, labels) < brier_score(probabilities, labels)


def test_chance_alone_gives_a_calibrated_network_an_error() -> None:
    # One bin and n fair coins: E|heads - n/2| / n, which for n = 2 is 1/4.
    rng = np.random.default_rng(0)
    assert error_if_calibrated(np.full(2, 0.5), draws=20_000, rng=rng) == pytest.approx(0.25, abs=0.005)
    assert error_if_calibrated(np.ones(5), draws=10, rng=rng) == 0
    probabilities, labels = random_network(2000, scale=1)
    confidence = probabilities.max(axis=1)
    seen = reliability(confidence, probabilities.argmax(axis=1) == labels).error
    assert seen == pytest.approx(error_if_calibrated(confidence, draws=200, rng=rng), rel=0.5)


def test_accuracy_at_coverage_by_hand() -> None:
    shares = accuracy_at_coverage(np.array([0.5, 0.9, 0.7, 0.7]), np.array([False, True, True, False]))
    assert shares == pytest.approx([1, (1 + 0.5) / 2, 2 / 3, 2 / 4])  # of the two at 0.7 one is right

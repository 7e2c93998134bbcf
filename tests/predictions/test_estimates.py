"""Estimates against SciPy, statsmodels and values worked out by hand."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from shearbench.predictions.scores import accuracy_of, mean_of


def test_accuracy_of_networks_and_draws() -> None:
    correct = np.array([[[True, True, False, True], [True, False, False, False]], [[True] * 4, [True] * 4]])
    found = accuracy_of(correct, np.array([[1, 2, 3, 4], [3, 4, 5, 6]]))  # two networks, two draws, four digits
    values = [0.75, 0.25, 1.0, 1.0]
    assert found["n"] == 6  # digits 3 and 4 are read by both
    assert found["readings"] == 4
    assert found["accuracy_mean"] == pytest.approx(0.75)
    assert found["accuracy_sd"] == pytest.approx(np.std(values, ddof=1))
    low, high = proportion_confint(0.75 * 6, 6, method="wilson")
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((low, high))


def test_mean_and_students_interval() -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0, 7.0])
    found = mean_of(values)
    expected = stats.ttest_1samp([1.0, 2.0, 4.0, 7.0], 0).confidence_interval(0.95)
    assert found["n"] == 4
    assert found["mean"] == 3.5
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_too_few_values_have_no_interval() -> None:
    assert mean_of(np.array([2.0, np.nan])) == pytest.approx(
        {"n": 1, "mean": 2.0, "low": np.nan, "high": np.nan}, nan_ok=True
    )
    assert np.isnan(mean_of(np.array([np.nan]))["mean"])

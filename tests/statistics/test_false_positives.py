"""How often tests of equal networks claim a difference, in simulated worlds: 5 % where 5 % is claimed."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from shearbench.statistics.paired import bootstrap_cases, bootstrap_folds_and_cases, mcnemar_p
from shearbench.statistics.resampled_t import corrected_t, correlated_t
from shearbench.statistics.verdict import decide

FOLDS, HARD, WORLDS = 5, 200, 1500
FAR = 0.02  # 3.5 standard errors of a rate of 5 % in so many worlds


def _networks(rng, spread):
    """Which of the hard cases the folds' networks get right, (folds, cases): half of the cases alike in all folds.

    ``spread`` is that of a network's chance to get a case right, about a half.
    """
    luck = np.where(np.arange(HARD) % 2, rng.random((FOLDS, HARD)), rng.random((1, HARD)))
    return luck < 0.5 + spread * rng.normal(size=(FOLDS, 1))


def _rates_on_cases(spread):
    """Return how often each test of networks on cases claims a difference."""
    rng, claims = np.random.default_rng(42), Counter()
    for _ in range(WORLDS):
        a, b = (_networks(rng, spread) for _ in range(2))
        claims["mid-p"] += mcnemar_p(a[:1], b[:1]) < 0.05
        claims["over folds"] += mcnemar_p(a, b) < 0.05
        for test, interval in (
            ("cases", bootstrap_cases(a, b, level=0.95)),
            ("folds and cases", bootstrap_folds_and_cases(a[None], b[None], level=0.95)),
        ):
            claims[test] += not interval.low <= 0 <= interval.high
    return {test: count / WORLDS for test, count in claims.items()}


def test_trained_networks_that_are_equal_are_called_different_in_5_percent():
    rates = _rates_on_cases(0.0)
    for test in ("mid-p", "over folds", "cases"):
        assert rates[test] == pytest.approx(0.05, abs=FAR), test
    assert rates["folds and cases"] <= 0.05 + FAR


def test_where_trainings_differ_only_the_interval_of_folds_and_cases_is_about_another_training():
    rates = _rates_on_cases(0.1)
    assert rates["folds and cases"] <= 0.05 + FAR
    assert rates["cases"] > 0.1
    assert rates["over folds"] > 0.1


def _scores(rng, repeats):
    """Return scores of two equal networks, (repeats, folds): any two of one network have correlation 1/folds.

    The corrected t assumes this correlation, so its rate checks the code and not the assumption.
    """
    own, fresh = rng.normal(size=(2, 1, 1)), rng.normal(size=(2, repeats, FOLDS))
    return 0.9 + 0.01 * (np.sqrt(1 / FOLDS) * own + np.sqrt(1 - 1 / FOLDS) * fresh)


@pytest.mark.parametrize("repeats", [1, 10])
def test_the_corrected_t_keeps_5_percent_and_the_naive_one_does_not(repeats):
    rng, corrected, naive = np.random.default_rng(7), 0, 0
    for _ in range(WORLDS):
        a, b = _scores(rng, repeats)
        corrected += corrected_t(a, b).p < 0.05
        naive += stats.ttest_rel(a.ravel(), b.ravel()).pvalue < 0.05
    assert corrected / WORLDS == pytest.approx(0.05, abs=FAR)
    inflated = np.sqrt(1 + repeats * FOLDS / (FOLDS - 1))  # the naive error is so many times too small
    expected = 2 * stats.t.sf(stats.t.isf(0.025, repeats * FOLDS - 1) / inflated, repeats * FOLDS - 1)
    assert naive / WORLDS == pytest.approx(expected, abs=2 * FAR)
    assert expected > 0.13


@pytest.mark.parametrize(
    ("difference", "rope", "wrong"),
    [(0.0, 0.002, ("better", "worse")), (0.03, 0.03, ("better",)), (-0.03, 0.03, ("equivalent",))],
)
def test_the_verdict_of_a_search_is_wrong_in_at_most_5_percent(difference, rope, wrong):
    rng, count = np.random.default_rng(3), 0
    for _ in range(WORLDS):
        a, b = _scores(rng, 10)
        word = decide(corrected_t(a + difference, b).p, correlated_t(a + difference, b, rope=rope)).word
        count += word in wrong
    assert count / WORLDS <= 0.05 + FAR

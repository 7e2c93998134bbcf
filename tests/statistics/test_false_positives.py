"""The rates of false claims: counted right, and 5 +- 1.5 % in simulated nulls where 5 % is claimed."""

import numpy as np
import pytest
from scipy import stats

from shearbench.statistics.false_positives import FalsePositiveRate
from shearbench.statistics.null_simulation import FOLDS, NULLS, correlated_scores, equal_networks, simulate_nulls


@pytest.mark.parametrize(
    ("claim", "hits", "holds"),
    [
        ("equal", 50, True),
        ("equal", 66, False),
        ("equal", 34, False),
        ("at most", 0, True),
        ("at most", 66, False),
        ("none", 500, None),
    ],
)
def test_whether_a_claim_holds(claim, hits, holds):
    rate = FalsePositiveRate("t", "null", claim, 0.05, 1000, hits)
    assert rate.rate == hits / 1000
    assert rate.holds is holds
    low, high = rate.interval
    assert low <= rate.rate <= high


def test_simulated_scores_have_the_correlation_they_claim():
    rng = np.random.default_rng(0)
    draws = np.array([correlated_scores(rng, 2, repeats=2).reshape(2, -1) for _ in range(20000)])
    differences = draws[:, 0] - draws[:, 1]
    correlation = np.corrcoef(differences.T)[np.triu_indices(10, 1)]
    assert correlation == pytest.approx(np.full(45, 1 / FOLDS), abs=0.03)


@pytest.mark.parametrize("varies", [True, False])
def test_simulated_networks_are_right_equally_often(varies):
    rng = np.random.default_rng(0)
    pairs = [equal_networks(rng, training_varies=varies) for _ in range(500)]
    differences = np.array([a.mean(2) - b.mean(2) for a, b in pairs]).reshape(500, FOLDS)
    assert abs(differences.mean()) < 4 * differences.mean(1).std() / np.sqrt(500)


EQUAL = {key: row for key, row in NULLS.items() if row[0] == "equal"}
SLOW = {key: row for key, row in NULLS.items() if key[0] == "bootstrap, folds and cases"}
AT_MOST = {key: row for key, row in NULLS.items() if row[0] == "at most" and key not in SLOW}


def test_five_percent_is_five_percent():
    rates = simulate_nulls(42, trials=2000, nulls=EQUAL)
    assert len(rates) == 5
    assert {(rate.test, rate.null): rate.rate for rate in rates if not rate.holds} == {}


def test_at_most_five_percent_is_not_more():
    rates = simulate_nulls(42, trials=1000, nulls=AT_MOST) + simulate_nulls(42, trials=200, nulls=SLOW)
    assert len(rates) == 8
    assert {(rate.test, rate.null): rate.rate for rate in rates if not rate.holds} == {}


def test_the_naive_test_is_wrong_about_14_percent_of_the_time():
    (rate,) = simulate_nulls(7, trials=3000, nulls={key: row for key, row in NULLS.items() if "naive" in key[0]})
    expected = 2 * stats.t.sf(stats.t.isf(0.025, 4) / 1.5, 4)  # its error is 1.5 times too small
    assert expected == pytest.approx(0.138, abs=1e-3)
    assert rate.rate == pytest.approx(expected, abs=0.02)
    assert rate.holds is None


def test_the_same_seed_gives_the_same_rates_and_rows_do_not_disturb_each_other():
    key = ("corrected t", next(null for test, null in EQUAL if test == "corrected t"))
    alone = simulate_nulls(1, trials=100, nulls={key: NULLS[key]})
    among = simulate_nulls(1, trials=100, nulls=dict(reversed(EQUAL.items())))
    assert alone[0] in among
    assert simulate_nulls(2, trials=100, nulls={key: NULLS[key]}) != alone


@pytest.mark.slow
def test_every_claim_holds_in_a_larger_simulation():
    rates = simulate_nulls(2026, trials=10000)
    assert {(rate.test, rate.null): rate.rate for rate in rates if rate.holds is False} == {}

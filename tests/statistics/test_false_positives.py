"""The rates of false claims: counted right, and 5 +- 1.5 % in simulated nulls where 5 % is claimed."""

import numpy as np
import pytest
from scipy import stats

from shearbench.statistics.bayesian import correlated_t
from shearbench.statistics.bootstrap import bootstrap_cases, bootstrap_folds_and_cases
from shearbench.statistics.false_positives import FalsePositiveRate
from shearbench.statistics.many import cases_exclude_zero, folds_and_cases_exclude_zero, rope_probabilities
from shearbench.statistics.mcnemar import mcnemar_over_folds, mcnemar_p, sign_flip_p
from shearbench.statistics.null_simulation import (
    CASES,
    CIRCULAR,
    DISCORDANT,
    FOLDS,
    NULLS,
    PATTERNS,
    SPREAD,
    correlated_scores,
    discordance,
    discordant_patterns,
    fold_differences,
    simulate_nulls,
)
from shearbench.statistics.resampled_t import corrected_p, corrected_t


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
    a, b = correlated_scores(np.random.default_rng(0), 20000, 2, repeats=2).reshape(2, 20000, -1)
    correlation = np.corrcoef((a - b).T)[np.triu_indices(10, 1)]
    assert correlation == pytest.approx(np.full(45, 1 / FOLDS), abs=0.03)


@pytest.mark.parametrize("varies", [True, False])
def test_simulated_networks_are_right_equally_often(varies):
    patterns = discordant_patterns(np.random.default_rng(0), 5000, training_varies=varies)
    differences = fold_differences(patterns)[:, 0]
    mean = differences.mean(axis=1)
    assert abs(mean.mean()) < 4 * mean.std() / np.sqrt(5000)
    assert patterns.sum() / 5000 == pytest.approx(DISCORDANT * CASES, rel=0.01)
    noise = DISCORDANT / CASES  # of a fold's difference, given its networks
    assert differences.var() == pytest.approx(noise + (SPREAD**2 if varies else 0), rel=0.05)
    # half of the discordant cases fall alike in all folds
    alike = patterns[:, [0, -1]].sum() / patterns.sum()
    assert alike == pytest.approx(0.5 + 0.5 / 16, abs=0.1 if varies else 0.01)


def _cases(pattern):
    """The cases of one world, (1, FOLDS, CASES) for a and b, that show these patterns."""
    sides = np.repeat(PATTERNS, pattern, axis=0).T
    sides = np.concatenate([sides, np.zeros((FOLDS, CASES - sides.shape[1]), int)], axis=1)
    return (sides >= 0)[None], (sides <= 0)[None]


@pytest.mark.parametrize("varies", [True, False])
def test_every_world_is_decided_as_by_the_functions_of_the_comparison(varies):
    worlds = 150
    patterns = discordant_patterns(np.random.default_rng(5), worlds, training_varies=varies)
    patterns[0] = 0
    counts, differences = discordance(patterns), fold_differences(patterns)
    sizes = counts[:, FOLDS:] + np.pad(counts[:, FOLDS - 1 :: -1], ((0, 0), (1, 0)))
    over_folds = sign_flip_p(sizes, counts @ np.arange(-FOLDS, FOLDS + 1))
    alone = [patterns[:, PATTERNS[:, 2] == side].sum(axis=1) for side in (1, -1)]
    exact, mid = mcnemar_p(*alone)
    cases = cases_exclude_zero(counts, level=0.8)
    both = folds_and_cases_exclude_zero(counts[1:], differences[1:], level=0.6)
    for world in range(worlds):
        a, b = _cases(patterns[world])
        assert (a.mean(axis=2) - b.mean(axis=2))[0] == pytest.approx(differences[world, 0], abs=1e-12)
        single = mcnemar_over_folds(a[0], b[0])
        assert over_folds[world] == pytest.approx(single.p, abs=1e-10)
        assert (exact[world], mid[world]) == pytest.approx((single.pairs[2].p_exact, single.pairs[2].p_mid), abs=1e-12)
        assert cases[world] == bootstrap_cases(a[0], b[0], level=0.8).excludes_zero
        if world:
            assert both[world - 1] == bootstrap_folds_and_cases(a, b, level=0.6).excludes_zero
    assert 0.1 < cases.mean() < 0.6
    assert 0.02 < both.mean() < 0.6


def test_every_world_has_the_posterior_and_the_p_value_of_the_comparison():
    a, b = correlated_scores(np.random.default_rng(6), 100, 2, repeats=3, difference=0.01)
    shares, p_values = rope_probabilities(a - b, rope=0.01), corrected_p(a - b)
    for world in range(100):
        single = correlated_t(a[world], b[world], rope=0.01)
        assert shares[world] == pytest.approx((single.worse, single.equivalent, single.better), abs=1e-10)
        assert p_values[world] == pytest.approx(corrected_t(a[world], b[world]).p, abs=1e-12)
    same = np.zeros((2, 3, FOLDS))
    same[1] += 0.1
    assert corrected_p(same).tolist() == [1, 0]


EQUAL = {key: row for key, row in NULLS.items() if row[0] == "equal"}
AT_MOST = {key: row for key, row in NULLS.items() if row[0] == "at most"}


@pytest.mark.parametrize("null", NULLS, ids=" | ".join)
def test_every_claim_holds(null):
    (rate,) = simulate_nulls(42, trials=3000, nulls={null: NULLS[null]})
    assert rate.holds is not False, rate


def test_five_percent_is_claimed_of_what_is_printed():
    assert len(EQUAL) == 5
    assert len(AT_MOST) == 8


def test_nulls_that_assume_what_the_test_assumes_are_called_circular():
    assert {test for test, null in NULLS if null in CIRCULAR} == {
        *("corrected t", "naive paired t (never used)", "Holm, any of 6 pairs", "tuning's verdict better or worse"),
        *("tuning's verdict better, difference +rope", "tuning's verdict equivalent, difference -rope"),
    }


def test_a_test_that_claims_too_much_is_caught():
    key = ("naive paired t (never used)", f"{FOLDS} folds, rho = 1/{FOLDS}")
    (rate,) = simulate_nulls(42, trials=1000, nulls={key: ("equal", NULLS[key][1])})
    assert rate.holds is False


def test_the_naive_test_is_wrong_about_14_percent_of_the_time():
    (rate,) = simulate_nulls(7, trials=10000, nulls={key: row for key, row in NULLS.items() if "naive" in key[0]})
    expected = 2 * stats.t.sf(stats.t.isf(0.025, 4) / 1.5, 4)  # its error is 1.5 times too small
    assert expected == pytest.approx(0.138, abs=1e-3)
    assert rate.rate == pytest.approx(expected, abs=0.012)
    assert rate.holds is None


def test_the_same_seed_gives_the_same_rates_and_rows_do_not_disturb_each_other():
    key = ("corrected t", next(null for test, null in EQUAL if test == "corrected t"))
    alone = simulate_nulls(1, trials=150, nulls={key: NULLS[key]})
    among = simulate_nulls(1, trials=150, nulls=dict(reversed(EQUAL.items())))
    assert alone[0] in among
    assert simulate_nulls(2, trials=150, nulls={key: NULLS[key]}) != alone


@pytest.mark.slow
def test_every_claim_holds_in_a_larger_simulation():
    rates = simulate_nulls(2026, trials=20000)
    assert {(rate.test, rate.null): rate.rate for rate in rates if rate.holds is False} == {}

"""McNemar's test against statsmodels, hand-computed numbers and all sign patterns counted out."""

from itertools import product

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as reference

from shearbench.errors import InputError
from shearbench.statistics.mcnemar import LEAST_P, mcnemar, mcnemar_over_folds


def _correct(only_a, only_b, both=3):
    a = np.array([True] * only_a + [False] * only_b + [True] * both)
    b = np.array([False] * only_a + [True] * only_b + [True] * both)
    return a, b


@pytest.mark.parametrize(
    ("only_a", "only_b", "exact", "mid"),
    [(3, 0, 0.25, 0.125), (0, 3, 0.25, 0.125), (5, 1, 14 / 64, 8 / 64), (2, 2, 1, 1), (0, 0, 1, 1)],
)
def test_hand_computed_cases(only_a, only_b, exact, mid):
    result = mcnemar(*_correct(only_a, only_b))
    assert (result.only_a, result.only_b) == (only_a, only_b)
    assert (result.p_exact, result.p_mid) == pytest.approx((exact, mid))


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_p_value_is_that_of_statsmodels(seed):
    a, b = np.random.default_rng(seed).random((2, 500)) < [[0.9], [0.87]]
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert mcnemar(a, b).p_exact == pytest.approx(reference(table, exact=True).pvalue, abs=1e-10)


@pytest.mark.parametrize("only", [(3, 0), (40, 22), (7, 7), (0, 0)])
def test_one_pair_of_networks_keeps_its_own_p_value(only):
    a, b = _correct(*only)
    result = mcnemar_over_folds(a[None], b[None])
    assert result.p == pytest.approx(mcnemar(a, b).p_mid, abs=1e-12)
    assert result.pairs == (mcnemar(a, b),)


@pytest.mark.parametrize("seed", range(5))
def test_over_folds_it_counts_all_sign_patterns(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 3, 9)) < [[[0.8]], [[0.5]]]
    discordance = a.sum(0).astype(int) - b.sum(0)
    sums = np.array(list(product([-1, 1], repeat=9))) @ np.abs(discordance)
    seen = abs(discordance.sum())
    expected = (sums > seen).mean() * 2 + (sums == seen).mean()
    assert mcnemar_over_folds(a, b).p == pytest.approx(expected, abs=1e-12)


def test_folds_that_say_the_same_count_once():
    a, b = _correct(12, 4)
    five = mcnemar_over_folds(np.tile(a, (5, 1)), np.tile(b, (5, 1)))
    assert five.p == pytest.approx(mcnemar(a, b).p_mid, abs=1e-12)


def test_swapping_the_networks_swaps_the_counts_and_keeps_p():
    a, b = np.random.default_rng(7).random((2, 5, 300)) < 0.9
    one, other = mcnemar_over_folds(a, b), mcnemar_over_folds(b, a)
    assert one.p == other.p
    assert [pair.only_a for pair in one.pairs] == [pair.only_b for pair in other.pairs]


def test_identical_networks_and_hopeless_ones():
    same = np.random.default_rng(8).random((5, 100)) < 0.9
    assert mcnemar_over_folds(same, same).p == 1.0
    assert mcnemar_over_folds(np.ones((5, 100), bool), np.zeros((5, 100), bool)).p == LEAST_P


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones(3, bool), np.ones(4, bool)),
        (np.ones(3), np.ones(3)),
        (np.ones(0, bool), np.ones(0, bool)),
        (np.ones((1, 3), bool), np.ones((1, 3), bool)),
    ],
)
def test_unpaired_cases_are_refused(a, b):
    with pytest.raises(InputError, match="same cases"):
        mcnemar(a, b)

"""McNemar's test against statsmodels, hand-computed numbers and all sign patterns counted out."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar as reference

from shearbench.errors import InputError
from shearbench.statistics.paired import LEAST_P, mcnemar_p


def _correct(only_a, only_b, both=3):
    a = np.array([True] * only_a + [False] * only_b + [True] * both)
    b = np.array([False] * only_a + [True] * only_b + [True] * both)
    return a, b


@pytest.mark.parametrize(
    ("only_a", "only_b", "mid"), [(3, 0, 0.125), (0, 3, 0.125), (5, 1, 8 / 64), (2, 2, 1), (0, 0, 1)]
)
def test_hand_computed_cases(only_a, only_b, mid):
    a, b = _correct(only_a, only_b)
    assert mcnemar_p(a[None], b[None]) == pytest.approx(mid, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_one_pair_has_the_exact_p_value_of_statsmodels_less_half_of_its_own_chance(seed):
    a, b = np.random.default_rng(seed).random((2, 500)) < [[0.9], [0.87]]
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    only_a, only_b = table[0][1], table[1][0]
    mid = reference(table, exact=True).pvalue - binom.pmf(only_a, only_a + only_b, 0.5)
    assert mcnemar_p(a[None], b[None]) == pytest.approx(mid, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_over_folds_it_counts_all_sign_patterns(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, 3, 9)) < [[[0.8]], [[0.5]]]
    discordance = a.sum(0).astype(int) - b.sum(0)
    sums = np.array(list(product([-1, 1], repeat=9))) @ np.abs(discordance)
    seen = abs(discordance.sum())
    expected = (sums > seen).mean() * 2 + (sums == seen).mean()
    assert mcnemar_p(a, b) == pytest.approx(expected, abs=1e-12)


def test_folds_that_say_the_same_count_once():
    a, b = _correct(12, 4)
    five = mcnemar_p(np.tile(a, (5, 1)), np.tile(b, (5, 1)))
    assert five == pytest.approx(mcnemar_p(a[None], b[None]), abs=1e-12)


def test_swapping_the_networks_keeps_p():
    a, b = np.random.default_rng(7).random((2, 5, 300)) < 0.9
    assert mcnemar_p(a, b) == mcnemar_p(b, a)


def test_identical_networks_and_hopeless_ones():
    same = np.random.default_rng(8).random((5, 100)) < 0.9
    assert mcnemar_p(same, same) == 1.0
    assert mcnemar_p(np.ones((5, 100), bool), np.zeros((5, 100), bool)) == LEAST_P


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.ones((1, 3), bool), np.ones((1, 4), bool)),
        (np.ones((1, 3)), np.ones((1, 3))),
        (np.ones((1, 0), bool), np.ones((1, 0), bool)),
        (np.ones(3, bool), np.ones(3, bool)),
    ],
)
def test_unpaired_cases_are_refused(a, b):
    with pytest.raises(InputError, match="same cases"):
        mcnemar_p(a, b)

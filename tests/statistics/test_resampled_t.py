"""The corrected resampled t-test against hand-computed numbers, scipy and baycomp."""

import numpy as np
import pytest
from baycomp.single import CorrelatedTTest
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics.resampled_t import corrected_t, error_factor

SHAPES = [(1, 2), (1, 5), (3, 5), (10, 10)]


def _scores(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.8, 0.9, shape), rng.uniform(0.8, 0.9, shape)


def test_a_hand_computed_case():
    result = corrected_t([0.91, 0.92, 0.93, 0.92, 0.92], [0.9] * 5)
    assert result.difference == pytest.approx(0.02)
    assert result.sd == pytest.approx(np.sqrt(2e-4 / 4))
    assert result.standard_error == pytest.approx(np.sqrt(5e-5 * 0.45))  # 1/5 + 1/4
    assert result.t == pytest.approx(4.216370213557839)
    assert (result.low, result.high) == pytest.approx((0.02 - 0.0131698, 0.02 + 0.0131698), abs=1e-7)  # 2.776445


def test_five_folds_need_a_difference_of_1_86_deviations():
    assert stats.t.isf(0.025, 4) * error_factor(5, 1) == pytest.approx(1.8625, abs=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_naive_t_test_with_a_wider_error(shape):
    a, b = _scores(shape)
    result, naive = corrected_t(a, b), stats.ttest_rel(a.ravel(), b.ravel())
    wider = np.sqrt(1 + a.size / (shape[1] - 1))
    assert result.t == pytest.approx(naive.statistic / wider, rel=1e-10)
    assert result.p == pytest.approx(2 * stats.t.sf(abs(naive.statistic) / wider, a.size - 1), abs=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_is_that_of_baycomps_posterior(shape):
    a, b = _scores(shape, seed=1)
    result, (mean, variance, df) = (
        corrected_t(a, b, level=0.9),
        CorrelatedTTest.compute_statistics(b.ravel(), a.ravel(), runs=shape[0]),
    )
    expected = stats.t.interval(0.9, df, mean, np.sqrt(variance))
    assert (result.low, result.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_interval_excludes_zero_just_where_p_is_small(shape):
    a, b = _scores(shape, seed=2)
    p = corrected_t(a, b).p
    edge = corrected_t(a, b, level=1 - p)
    assert min(abs(edge.low), abs(edge.high)) == pytest.approx(0, abs=1e-10)


def test_swapping_the_networks_flips_the_sign():
    a, b = _scores((2, 5))
    one, other = corrected_t(a, b), corrected_t(b, a)
    assert (other.difference, other.low, other.high, other.t) == (-one.difference, -one.high, -one.low, -one.t)
    assert other.p == one.p


@pytest.mark.parametrize("shift", [0.0, 0.1, -0.3])
def test_differences_that_do_not_vary_are_the_limit(shift):
    a, _ = _scores((2, 5))
    result = corrected_t(a + shift, a)
    assert result.sd == 0
    assert result.t is None
    assert result.p == (1.0 if shift == 0 else 0.0)
    assert result.low == result.high == result.difference == pytest.approx(shift)


def test_two_folds_have_one_degree_of_freedom():
    result = corrected_t([0.9, 0.8], [0.7, 0.7])
    # mean 0.15, s = 0.1/sqrt 2, error = s sqrt 1.5; with 1 degree of freedom t is Cauchy
    t = 0.15 / (0.1 / np.sqrt(2) * np.sqrt(1.5))
    assert result.p == pytest.approx(1 - 2 / np.pi * np.arctan(t))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0.9], [0.8], "at least 2 folds"),
        ([0.9, 0.8], [0.8, 0.7, 0.6], "same folds"),
        ([0.9, np.nan], [0.8, 0.7], "finite"),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), "same folds"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        corrected_t(a, b)


def test_one_sample_more_in_every_fold_is_no_certainty() -> None:
    a, b = np.array([0.95, 0.90]), np.array([0.90, 0.85])  # 20 samples a fold
    assert corrected_t(a, b).p == 0
    found = corrected_t(a, b, step=1 / 20)
    # t = 0.05 / (0.05 sqrt(1/2 + 1)) with 1 degree of freedom, whose two-sided p is 1 - 2 arctan(t) / pi
    assert found.t == pytest.approx(1 / np.sqrt(1.5))
    assert found.p == pytest.approx(1 - 2 * np.arctan(1 / np.sqrt(1.5)) / np.pi)
    assert found.low < 0 < found.high
    assert corrected_t(a, a, step=1 / 20).p == 1
    wide = np.array([0.95, 0.80])
    assert corrected_t(wide, b, step=1 / 20) == corrected_t(wide, b)


def test_three_folds_of_five_held_out_a_quarter_of_what_they_trained_on() -> None:
    a, b = np.array([0.9, 0.92, 0.95]), np.array([0.88, 0.91, 0.9])
    d = a - b
    found = corrected_t(a, b, test_to_train=1 / 4)
    assert found.standard_error == pytest.approx(d.std(ddof=1) * np.sqrt(1 / 3 + 1 / 4))
    assert corrected_t(a, b).standard_error / found.standard_error == pytest.approx(1.195, abs=1e-3)

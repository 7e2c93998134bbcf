"""The Bayesian correlated t-test against baycomp and against the corrected t."""

import baycomp
import numpy as np
import pytest

from shearbench.errors import InputError
from shearbench.statistics.resampled_t import corrected_t, correlated_t


@pytest.mark.parametrize("shape", [(1, 2), (1, 5), (10, 10)])
@pytest.mark.parametrize("rope", [0.002, 0.05])
def test_it_is_baycomp_with_the_difference_a_minus_b(shape, rope):
    a, b = np.random.default_rng(3).uniform(0.8, 0.9, (2, *shape))
    worse, equivalent, better = baycomp.two_on_single(b.ravel(), a.ravel(), rope=rope, runs=shape[0])
    result = correlated_t(a, b, rope=rope)
    assert (result.worse, result.equivalent, result.better) == pytest.approx((worse, equivalent, better), abs=1e-10)
    assert result.worse + result.equivalent + result.better == pytest.approx(1, abs=1e-12)


def test_without_a_region_it_is_the_one_sided_corrected_t():
    a, b = np.random.default_rng(4).uniform(0.8, 0.9, (2, 3, 5))
    result, t = correlated_t(a, b, rope=0.0), corrected_t(a, b)
    assert min(result.worse, result.better) == pytest.approx(t.p / 2, abs=1e-12)
    assert result.equivalent == 0


def test_swapping_the_networks_swaps_better_and_worse():
    a, b = np.random.default_rng(5).uniform(0.8, 0.9, (2, 1, 5))
    one, other = correlated_t(a, b, rope=0.01), correlated_t(b, a, rope=0.01)
    assert (one.better, one.worse) == pytest.approx((other.worse, other.better), abs=1e-14)


@pytest.mark.parametrize(
    ("shift", "rope", "expected"),
    [
        (0.0, 0.01, (0, 1, 0)),
        (0.0, 0.0, (0.5, 0, 0.5)),
        (0.005, 0.01, (0, 1, 0)),
        (0.1, 0.01, (0, 0, 1)),
        (-0.1, 0.0, (1, 0, 0)),
    ],
)
def test_differences_that_do_not_vary_are_certain(shift, rope, expected):
    a = np.array([0.81, 0.83, 0.86])
    result = correlated_t(a + shift, a, rope=rope)
    assert (result.worse, result.equivalent, result.better) == expected


@pytest.mark.parametrize("rope", [-0.01, float("nan"), float("inf")])
def test_a_region_must_be_a_width(rope):
    with pytest.raises(InputError, match=r"compare\.rope"):
        correlated_t([0.9, 0.8], [0.7, 0.7], rope=rope)

"""Bootstrap intervals against all resamples counted out, scipy's drawn ones, and the corrected t."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics.paired import bootstrap_cases, bootstrap_folds_and_cases
from shearbench.statistics.resampled_t import corrected_t


def _pair(shape, seed=0, shares=(0.9, 0.85)):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < shares[0], rng.random(shape) < shares[1]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_it_is_the_percentile_interval_of_all_resamples(seed, level):
    a, b = _pair((2, 5), seed, shares=(0.7, 0.4))
    discordance = a.sum(0).astype(int) - b.sum(0)
    sums = np.sort([discordance[list(draw)].sum() for draw in product(range(5), repeat=5)])  # 3125 resamples
    place = (1 - level) / 2 * len(sums)
    low, high = sums[int(np.ceil(place)) - 1], sums[len(sums) - int(np.ceil(place))]
    result = bootstrap_cases(a, b, level=level)
    assert (result.low, result.high) == pytest.approx((low / 10, high / 10), abs=1e-14)


def test_it_is_where_scipys_drawn_interval_tends_to():
    a, b = _pair((5, 400))
    drawn = stats.bootstrap(
        (a.mean(0), b.mean(0)),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        paired=True,
        n_resamples=20000,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    ).confidence_interval
    result = bootstrap_cases(a, b)
    width = result.high - result.low
    assert (result.low, result.high) == pytest.approx((drawn.low, drawn.high), abs=0.03 * width)
    assert result.difference == pytest.approx(a.mean() - b.mean(), abs=1e-14)


def test_many_cases_tend_to_the_normal_interval():
    a, b = _pair((5, 20000))
    discordance = (a.sum(0).astype(int) - b.sum(0)) / 5
    reach = stats.norm.isf(0.025) * discordance.std() / np.sqrt(20000)
    result = bootstrap_cases(a, b)
    assert (result.low, result.high) == pytest.approx(
        (discordance.mean() - reach, discordance.mean() + reach), abs=0.01 * reach
    )


def test_without_noise_of_cases_both_levels_are_the_corrected_t():
    a = np.array([[True, False, True, False, True], [True, True, True, False, True]])
    a, b = np.repeat(a[:, :, None], 50, axis=2), np.zeros((2, 5, 50), bool)
    expected = corrected_t(a.mean(2), b.mean(2))
    result = bootstrap_folds_and_cases(a, b)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), abs=1e-10)


def test_without_spread_over_folds_both_levels_are_the_cases():
    a, b = (np.tile(correct, (1, 5, 1)) for correct in _pair((1, 200)))
    assert bootstrap_folds_and_cases(a, b) == bootstrap_cases(a[0], b[0])


def test_both_levels_against_drawing():
    a, b = _pair((1, 5, 300), seed=2)
    rng = np.random.default_rng(3)
    discordance = (a.sum(1)[0].astype(int) - b.sum(1)[0]) / 5
    cases = rng.choice(discordance, (40000, 300)).mean(1)
    folds = corrected_t(a.mean(2), b.mean(2)).standard_error * rng.standard_t(4, 40000)
    low, high = np.quantile(cases + folds, [0.025, 0.975])
    result = bootstrap_folds_and_cases(a, b)
    assert (result.low, result.high) == pytest.approx((low, high), abs=0.03 * (high - low))


@pytest.mark.parametrize("interval", [bootstrap_cases, bootstrap_folds_and_cases])
def test_swapping_the_networks_flips_the_interval(interval):
    a, b = _pair((5, 200) if interval is bootstrap_cases else (2, 5, 200), seed=4)
    one, other = interval(a, b), interval(b, a)
    assert (one.difference, one.low, one.high) == pytest.approx((-other.difference, -other.high, -other.low), abs=1e-13)


@pytest.mark.parametrize(("right_a", "right_b", "difference"), [(True, True, 0), (False, False, 0), (True, False, 1)])
def test_cases_that_all_say_the_same_give_no_width(right_a, right_b, difference):
    a, b = np.full((1, 5, 20), right_a), np.full((1, 5, 20), right_b)
    for result in (bootstrap_cases(a[0], b[0]), bootstrap_folds_and_cases(a, b)):
        assert result.low == result.high == result.difference == difference


def test_identical_networks_are_exactly_equal():
    a, _ = _pair((1, 5, 100))
    assert bootstrap_folds_and_cases(a, a).low == bootstrap_folds_and_cases(a, a).high == 0


def test_unpaired_cases_are_refused():
    with pytest.raises(InputError, match="same cases"):
        bootstrap_cases(np.ones((5, 3), bool), np.ones((5, 4), bool))

"""What a verdict can see: against the noncentral t, two one-sided tests by integration, and simulated verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.power import TTestPower

from shearbench.statistics.power import (
    Precision,
    detectable,
    detectable_range,
    equivalence_needs,
    equivalence_power,
    error_range,
    needed_repeats,
    power_of,
    with_networks,
)
from shearbench.statistics.verdict import decide_by_interval

FOUND = Precision(0.005, 0.004, 0.003, df=9.3, point=0.0103, networks=5, overlap=0.25)


def test_without_a_region_it_is_the_noncentral_t() -> None:
    expected = TTestPower().power(2.9, nobs=1, alpha=FOUND.point / 2, df=FOUND.df, alternative="larger")
    assert power_of(FOUND, 2.9 * FOUND.standard_error, rope=0.0) == pytest.approx(expected, abs=1e-6)


def test_equivalence_is_the_integral_over_the_spread() -> None:
    rope, c = 0.03, stats.t.isf(FOUND.point / 2, FOUND.df)

    def integrand(s: float) -> float:
        density = stats.chi.pdf(s * np.sqrt(FOUND.df), FOUND.df) * np.sqrt(FOUND.df)
        return density * (2 * stats.norm.cdf(rope / FOUND.standard_error - c * s) - 1)

    expected, _ = integrate.quad(integrand, 0, rope / FOUND.standard_error / c)
    assert equivalence_power(FOUND, rope=rope) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("rope", [0.001, 0.02, 0.05])
def test_simulated_verdicts_have_the_power_that_is_said(rope: float) -> None:
    rng, draws = np.random.default_rng(5), 20_000
    error = np.sqrt(rng.chisquare(FOUND.df, draws) / FOUND.df) * FOUND.standard_error
    reach = stats.t.isf(FOUND.point / 2, FOUND.df) * error
    noise = rng.normal(size=draws) * FOUND.standard_error

    def share(truth: float, word: str, rope: float) -> float:
        ends = zip(truth + noise - reach, truth + noise + reach, strict=True)
        return float(np.mean([decide_by_interval(*each, rope=rope, p_adjusted=0.5).word == word for each in ends]))

    assert share(detectable(FOUND, rope=rope, power=0.8), "better", rope) == pytest.approx(0.8, abs=0.01)
    if rope == 0.001:  # once: it does not depend on the region declared
        assert share(0.0, "equivalent", equivalence_needs(FOUND, power=0.8)) == pytest.approx(0.8, abs=0.01)


def test_a_wide_region_hides_differences_and_a_narrow_one_does_not() -> None:
    none, narrow, wide = (detectable(FOUND, rope=rope, power=0.8) for rope in (0.0, 0.005, 0.06))
    assert none == pytest.approx(narrow, rel=1e-6)
    assert wide > 0.06 - 0.0159 > 2 * none  # beyond the region, less half the interval's width


def test_repeats_divide_what_trainings_do_not_share() -> None:
    often = with_networks(FOUND, 15)
    assert often.samples_error == FOUND.samples_error
    assert often.training_error**2 / FOUND.training_error**2 == pytest.approx((1 / 15 + 1 / 8) / (1 / 5 + 1 / 8))
    assert often.standard_error**2 == pytest.approx(often.samples_error**2 + often.training_error**2)
    apart = replace(FOUND, overlap=0.0)
    assert with_networks(apart, 50).training_error ** 2 == pytest.approx(FOUND.training_error**2 / 10)


def test_the_needed_repeats_are_the_fewest() -> None:
    def at(repeats: int) -> Precision:
        return with_networks(FOUND, 5 * repeats)

    goal = (detectable(at(3), rope=0.0, power=0.8) + detectable(at(4), rope=0.0, power=0.8)) / 2
    assert needed_repeats(at, goal, rope=0.0, power=0.8) == 4
    assert needed_repeats(at, 1.0, rope=0.0, power=0.8) == 1
    assert needed_repeats(at, 0.01, rope=0.0, power=0.8) is None  # samples and overlap stay


def test_the_spread_of_few_trainings_is_known_as_well_as_said() -> None:
    rng = np.random.default_rng(2)
    seen = FOUND.standard_error * np.sqrt(rng.chisquare(FOUND.df, 20_000) / FOUND.df)
    low, high = np.array([error_range(replace(FOUND, standard_error=each)) for each in seen[:4000]]).T
    assert np.mean((low < FOUND.standard_error) & (high > FOUND.standard_error)) == pytest.approx(0.8, abs=0.02)


def test_a_smaller_error_may_detect_less_within_the_region_and_the_range_is_ordered_around_it() -> None:
    errors = (0.0042, 0.003, 0.0061)  # a pair of the default run and the ends of its 80 % interval
    spread = [replace(FOUND, standard_error=each) for each in errors]
    here, small, large = (detectable(each, rope=0.03, power=0.8) for each in spread)
    assert here < small
    assert detectable_range(spread, rope=0.03, power=0.8) == (min(here, large), max(small, large))


def test_models_that_are_right_on_the_same_samples_are_told_without_a_division_by_zero() -> None:
    same = replace(FOUND, standard_error=0.0, samples_error=0.0, training_error=0.0)
    assert (power_of(same, 0.02, rope=0.01), power_of(same, 0.005, rope=0.01)) == (1.0, 0.0)
    assert equivalence_power(same, rope=0.01) == 1.0
    assert (detectable(same, rope=0.01, power=0.8), equivalence_needs(same, power=0.8)) == (0.01, 0.0)

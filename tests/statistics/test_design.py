"""What a design can detect: against statsmodels' noncentral t, against simulation, and refusals against scipy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from shearbench.errors import InputError
from shearbench.statistics.design import (
    Design,
    detectable_difference,
    least_detectable,
    needed_repeats,
    power_of,
)
from shearbench.statistics.resampled_t import corrected_t, error_factor


@pytest.mark.parametrize("design", [Design(5), Design(2), Design(5, 10), Design(10, 3, alpha=0.01, comparisons=6)])
@pytest.mark.parametrize("difference", [0.005, 0.02])
def test_power_is_that_of_statsmodels(design, difference):
    sd = 0.01
    noncentrality = difference / (sd * error_factor(design.folds, design.repeats))
    expected = TTestPower().power(
        noncentrality, nobs=1, alpha=design.alpha / design.comparisons / 2, df=design.n - 1, alternative="larger"
    )
    assert power_of(design, difference, sd=sd) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("design", [Design(2), Design(5), Design(5, 10), Design(10, power=0.95, comparisons=28)])
def test_the_detectable_difference_has_just_the_power(design):
    difference = detectable_difference(design, sd=0.01)
    assert power_of(design, difference, sd=0.01) == pytest.approx(design.power, abs=1e-9)


def test_power_is_met_by_simulated_folds():
    design, sd, rho, n = Design(5, 2), 0.01, 0.2, 4000
    difference = detectable_difference(design, sd=sd)
    rng = np.random.default_rng(0)
    # the sample deviation of scores with correlation rho estimates sigma sqrt(1 - rho)
    noise = sd * (np.sqrt(rho / (1 - rho)) * rng.normal(size=(n, 1, 1)) + rng.normal(size=(n, 2, 5)))
    detected = [corrected_t(difference + d, np.zeros((2, 5))) for d in noise]
    assert np.mean([each.p < 0.05 and each.difference > 0 for each in detected]) == pytest.approx(0.8, abs=0.02)


def test_more_folds_and_repeats_detect_less_and_more_comparisons_more():
    base = detectable_difference(Design(5), sd=0.01)
    assert detectable_difference(Design(10), sd=0.01) < base
    assert detectable_difference(Design(5, 4), sd=0.01) < base
    assert detectable_difference(Design(5, comparisons=6), sd=0.01) > base
    assert detectable_difference(Design(5), sd=0.02) == pytest.approx(2 * base)


def test_the_needed_repeats_are_the_fewest():
    design, sd = Design(5), 0.01
    repeats = needed_repeats(design, 0.0165, sd=sd)
    assert repeats > 1
    assert detectable_difference(Design(5, repeats), sd=sd) <= 0.0165
    assert detectable_difference(Design(5, repeats - 1), sd=sd) > 0.0165
    assert needed_repeats(design, 0.1, sd=sd) == 1


def test_no_repeats_overcome_the_overlap_of_training_sets():
    floor = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) * 0.01 / 2  # n to infinity, 1/(folds - 1) = 1/4
    assert needed_repeats(Design(5), 0.99 * floor, sd=0.01) is None
    assert needed_repeats(Design(5), 1.02 * floor, sd=0.01) is not None


def test_folds_that_do_not_vary_detect_anything():
    assert detectable_difference(Design(5), sd=0.0) == 0
    assert power_of(Design(5), 0.001, sd=0.0) == 1


@pytest.mark.parametrize("design", [Design(5), Design(10, alpha=0.01, comparisons=6), Design(2, power=0.95)])
def test_the_least_detectable_is_the_limit_of_many_repeats(design):
    many = detectable_difference(replace(design, repeats=4000), sd=0.01)
    assert least_detectable(design, sd=0.01) == pytest.approx(many, rel=2e-3)
    assert least_detectable(design, sd=0.01) < many


@pytest.mark.parametrize("difference", [0.0, -0.01])
def test_no_repeats_are_counted_for_no_difference(difference):
    with pytest.raises(InputError, match="must be > 0"):
        needed_repeats(Design(5), difference, sd=0.01)


@pytest.mark.parametrize(
    "wrong", [{"folds": 1}, {"repeats": 0}, {"alpha": 0.0}, {"alpha": 0.9}, {"power": 0.01}, {"comparisons": 0}]
)
def test_impossible_designs_are_refused(wrong):
    with pytest.raises(InputError, match="a design needs"):
        Design(**{"folds": 5, **wrong})


def test_a_negative_deviation_is_refused():
    with pytest.raises(InputError, match=">= 0"):
        detectable_difference(Design(5), sd=-0.01)

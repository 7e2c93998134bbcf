"""Pilots: their parts are found in simulated folds and scale as simulated. Plans: their numbers are those of design."""

import numpy as np
import pytest

from shearbench.errors import InputError
from shearbench.statistics.design import Design, detectable_difference, least_detectable, needed_repeats
from shearbench.statistics.pilot import given, measured
from shearbench.statistics.planning import plan


def _discordance(rng, *, folds, n, by_training, discordant=0.2):
    """Wins of each fold: digits fall to a or b, more to one of them by what its training gave it."""
    discordance = []
    for part in np.array_split(np.arange(n), folds):
        lean = by_training / discordant * rng.normal()
        speaks, a_wins = rng.random(len(part)) < discordant, rng.random(len(part)) < (1 + lean) / 2
        discordance.append(speaks * np.where(a_wins, 1, -1))
    return discordance


def test_by_hand():
    pilot = measured([np.array([1, 0, 0, -1]), np.array([1, 1, 0, 0])], folds=2)
    assert pilot.seen == pytest.approx(1 / 8)  # differences 0 and 1/2
    assert pilot.samples == pytest.approx((2 / 3 + 1 / 3) / 2 / 4)
    assert pilot.training == 0
    assert pilot.sd(2) == pytest.approx(np.sqrt(1 / 8))  # here the digits explain all of it
    assert pilot.sd(4) == pytest.approx(np.sqrt(1 / 4))
    assert pilot.df == 1


def test_the_parts_are_those_that_were_simulated():
    rng = np.random.default_rng(0)
    pilots = [measured(_discordance(rng, folds=40, n=20000, by_training=0.02), folds=40) for _ in range(30)]
    assert np.mean([pilot.samples for pilot in pilots]) == pytest.approx(0.2 / 500, rel=0.05)
    assert np.mean([pilot.training for pilot in pilots]) == pytest.approx(0.02**2, rel=0.15)


@pytest.mark.parametrize("folds", [5, 20])
def test_another_number_of_folds_varies_as_foretold(folds):
    rng = np.random.default_rng(1)
    pilots = [measured(_discordance(rng, folds=10, n=4000, by_training=0.02), folds=10) for _ in range(300)]
    foretold = np.mean([pilot.seen - pilot.samples + pilot.samples * folds / 10 for pilot in pilots])
    trained = [measured(_discordance(rng, folds=folds, n=4000, by_training=0.02), folds=folds).seen for _ in range(300)]
    assert foretold == pytest.approx(np.mean(trained), rel=0.1)


def test_folds_that_are_alike_by_chance_do_not_promise_more_than_their_digits_allow():
    pilot = measured([np.array([1, -1, 0, 0])] * 5, folds=5)
    assert (pilot.seen, pilot.training) == (0, 0)
    assert pilot.sd(5) == pytest.approx(np.sqrt(2 / 3 / 4))
    assert pilot.sd_range(5) == (pytest.approx(pilot.sd(5)),) * 2


def test_what_five_folds_know_of_their_deviation_holds_the_truth_as_often_as_said():
    rng = np.random.default_rng(2)
    pilots = [measured(_discordance(rng, folds=5, n=20000, by_training=0.05), folds=5) for _ in range(1500)]
    truth = np.sqrt(0.2 / 4000 + 0.05**2)
    held = [low < truth < high for low, high in (pilot.sd_range(5) for pilot in pilots)]
    assert np.mean(held) == pytest.approx(0.8, abs=0.03)


def test_a_given_deviation_is_counted_to_the_digits():
    pilot = given(0.01, folds=5)
    assert (pilot.sd(5), pilot.sd(20)) == (pytest.approx(0.01), pytest.approx(0.02))
    assert pilot.sd_range(5) is None


@pytest.mark.parametrize("sd", [0.0, -0.1, float("nan")])
def test_a_deviation_that_is_none_is_refused(sd):
    with pytest.raises(InputError, match="must be a number > 0"):
        given(sd, folds=5)


@pytest.mark.parametrize("discordance", [[np.array([1, 0])], [np.array([1, 0]), np.array([1])]])
def test_too_small_a_pilot_is_refused(discordance):
    with pytest.raises(InputError, match="at least 2 folds of at least 2 digits"):
        measured(discordance, folds=5)


def test_a_plan_carries_the_numbers_of_the_design():
    rng = np.random.default_rng(3)
    pilot = measured(_discordance(rng, folds=5, n=2000, by_training=0.01), folds=5)
    design = Design(4, 7, comparisons=6)
    made = plan(design, pilot, difference=0.03)
    assert made.planned.detectable == detectable_difference(design, sd=pilot.sd(4))
    low, high = pilot.sd_range(4)
    assert made.detectable_range == (detectable_difference(design, sd=low), detectable_difference(design, sd=high))
    assert [option.folds for option in made.options[::6]] == [2, 3, 4, 5, 10, 20]
    assert [option.repeats for option in made.options[:6]] == [1, 2, 3, 5, 7, 10]
    assert made.planned in made.options
    for option in made.options:
        expected = Design(option.folds, option.repeats, comparisons=6)
        assert option.networks == expected.n
        assert option.detectable == detectable_difference(expected, sd=pilot.sd(option.folds))
    for need in made.needs:
        expected = Design(need.folds, comparisons=6)
        assert need.repeats == needed_repeats(expected, 0.03, sd=pilot.sd(need.folds))
        assert need.least == least_detectable(expected, sd=pilot.sd(need.folds))
        assert (need.repeats is None) == (need.least >= 0.03)

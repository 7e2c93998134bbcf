"""Pilots: their parts are found in simulated folds. Plans: their numbers are those that the verdict then shows."""

from dataclasses import replace

import numpy as np
import pytest

from shearbench.errors import InputError
from shearbench.statistics.crossed import joined, parts_from
from shearbench.statistics.pilot import Pilot, given, measured, plan
from shearbench.statistics.power import detectable, power_of
from shearbench.statistics.runs import Design


def _discordance(rng, *, folds, n, by_training, discordant=0.2):
    """Wins of each fold: samples fall to a or b, more to one of them by what its training gave it."""
    discordance = []
    for part in np.array_split(np.arange(n), folds):
        lean = by_training / discordant * rng.normal()
        speaks, a_wins = rng.random(len(part)) < discordant, rng.random(len(part)) < (1 + lean) / 2
        discordance.append(speaks * np.where(a_wins, 1, -1))
    return discordance


def _pilot(discordance, *, tested=100) -> Pilot:
    n = sum(map(len, discordance))
    clusters = np.split(np.arange(n), np.cumsum([len(each) for each in discordance])[:-1])
    return measured(discordance, clusters, scored=n + tested, tested=tested)


def test_by_hand():
    pilot = _pilot([np.array([1, 0, 0, -1]), np.array([1, 1, 0, 0])], tested=2)
    assert pilot.seen == pytest.approx(1 / 8)  # differences 0 and 1/2
    assert pilot.fold_samples == pytest.approx((2 / 3 + 1 / 3) / 2 / 4)
    assert (pilot.training, pilot.df) == (0, 1)
    assert pilot.samples == pytest.approx(1 / 8 * 4 / 10)  # folds of 4; 8 held out and 2 tested
    assert pilot.noise == pytest.approx((4 / 8 - 1 / 16) / 2)  # w: 1 0 0 -1 1 1 0 0
    found = pilot.expected(Design(4, 3))
    assert (found.samples_error**2, found.training_error) == (pytest.approx(1 / 20), 0)
    apart = replace(pilot, training=0.01).expected(Design(4, 3))
    assert apart.training_error**2 == pytest.approx((1 / 12 + 1 / 6) * 0.01)


def test_writers_stay_together():
    w = [np.repeat([1, -1, 0, 1], 5), np.repeat([1, 0, 0, -1], 5)]
    writers = [np.repeat(np.arange(4), 5), np.repeat(np.arange(4, 8), 5)]
    by_writer = measured(w, writers, scored=60, tested=20)
    assert by_writer.fold_samples == pytest.approx(np.mean([np.var(each[::5], ddof=1) / 4 for each in w]))
    assert by_writer.samples_df == pytest.approx(8 * 60 / 40 - 1)


def test_the_parts_are_those_that_were_simulated():
    rng = np.random.default_rng(0)
    pilots = [_pilot(_discordance(rng, folds=40, n=20000, by_training=0.02)) for _ in range(30)]
    assert np.mean([pilot.fold_samples for pilot in pilots]) == pytest.approx(0.2 / 500, rel=0.05)
    assert np.mean([pilot.training for pilot in pilots]) == pytest.approx(0.02**2, rel=0.15)


def test_what_a_pilot_of_folds_foretells_is_the_error_of_the_verdict():
    rng, errors, foretold = np.random.default_rng(4), [], []
    for _ in range(200):
        held_out = _discordance(rng, folds=5, n=2000, by_training=0.02)
        lean = 0.02 / 0.2 * rng.normal(size=(5, 1))
        table = (rng.random((5, 500)) < 0.2) * np.where(rng.random((5, 500)) < (1 + lean) / 2, 1.0, -1.0)
        u, rows = np.concatenate([*held_out, table.mean(axis=0)]), np.arange(2500)
        errors.append(joined([parts_from(u, table, rows, overlap=0.25)], alpha=0.05)[0].standard_error)
        foretold.append(_pilot(held_out, tested=500).expected(Design(5)).standard_error)
    # a little more, as a pilot of folds cannot know that several networks average out chance with a test sample
    assert 1 < np.mean(foretold) / np.mean(errors) < 1.15


def test_what_a_pilot_foretells_of_disjoint_sets_is_the_error_of_the_verdict():
    rng, errors, foretold = np.random.default_rng(5), [], []
    for _ in range(200):
        held_out = _discordance(rng, folds=10, n=4000, by_training=0.02)
        of_sample = (rng.random(500) < 0.2) * np.where(rng.random(500) < 0.5, 1.0, -1.0)
        table = of_sample + 0.02 * rng.normal(size=(10, 1))
        parts = parts_from(table.mean(axis=0), table, np.arange(500))
        errors.append(joined([parts], alpha=0.05)[0].standard_error)
        foretold.append(_pilot(held_out, tested=500).expected(Design(10, disjoint=True)).standard_error)
    # All networks agree on a sample here. Where they do not, chance averages out, and the pilot foretells too much.
    assert np.mean(foretold) / np.mean(errors) == pytest.approx(1, abs=0.05)


def test_disjoint_sets_by_hand():
    pilot = replace(_pilot([np.array([1, 0, 0, -1]), np.array([1, 1, 0, 0])], tested=2), training=0.01)
    found = pilot.expected(Design(4, disjoint=True))
    assert found.samples_error**2 == pytest.approx(1 / 8 * 4 / 2)  # folds of 4; 2 test samples alone
    assert found.training_error**2 == pytest.approx(0.01 / 4)  # four networks that share nothing
    assert found.overlap == 0


def test_a_plan_of_disjoint_sets_has_one_repeat_and_the_fewest_sets():
    pilot = replace(given(0.02, folds=5), training=0.03**2, samples=1e-6)
    made = plan(Design(5, disjoint=True), pilot, rope=0.001, difference=0.03)
    assert {option.repeats for option in made.options} == {1}
    (need,) = made.needs
    found = [pilot.expected(Design(sets, disjoint=True)) for sets in (need.folds - 1, need.folds)]
    below, enough = (power_of(each, 0.03, rope=0.001) for each in found)
    assert below < 0.8 <= enough


def test_folds_that_are_alike_by_chance_do_not_promise_more_than_their_samples_allow():
    pilot = _pilot([np.array([1, -1, 0, 0])] * 5)
    assert (pilot.seen, pilot.training) == (0, 0)
    assert pilot.fold_samples == pytest.approx(2 / 3 / 4)
    assert [end.training for end in pilot.ends()] == [0, 0]


def test_what_five_folds_know_of_their_training_holds_the_truth_as_often_as_said():
    rng = np.random.default_rng(2)
    pilots = [_pilot(_discordance(rng, folds=5, n=2000, by_training=0.05)) for _ in range(500)]
    held = [low.training < 0.05**2 < high.training for low, high in (pilot.ends() for pilot in pilots)]
    assert np.mean(held) == pytest.approx(0.8, abs=0.06)


def test_a_given_deviation_is_counted_to_the_samples_of_the_folds_and_a_test_part_like_one():
    pilot = given(0.01, folds=5)
    once, often = (pilot.expected(Design(5, repeats)).standard_error for repeats in (1, 10))
    assert once == often == pytest.approx(0.01 / np.sqrt(6))
    assert pilot.ends() == ()


@pytest.mark.parametrize("sd", [0.0, -0.1, 3.0, float("nan")])
def test_a_deviation_that_is_none_is_refused(sd):
    with pytest.raises(InputError, match="must be a fraction between 0 and 1"):
        given(sd, folds=5)


@pytest.mark.parametrize("discordance", [[np.array([1, 0])], [np.array([1, 0]), np.array([1])]])
def test_too_small_a_pilot_is_refused(discordance):
    with pytest.raises(InputError, match="at least 2 folds of at least 2 writers or samples"):
        _pilot(discordance)


@pytest.mark.parametrize("difference", [0.0, -0.01, 5.0])
def test_no_repeats_are_counted_for_no_difference(difference):
    with pytest.raises(InputError, match="must be a fraction between 0 and 1"):
        plan(Design(5), given(0.01, folds=5), rope=0.01, difference=difference)


def test_a_plan_carries_the_numbers_of_the_verdict():
    pilot = _pilot(_discordance(np.random.default_rng(3), folds=5, n=2000, by_training=0.01))
    design = Design(4, 7, comparisons=6)
    made = plan(design, pilot, rope=0.01, difference=0.03)
    assert made.planned.detectable == detectable(pilot.expected(design), rope=0.01, power=0.8)
    spread = [detectable(each.expected(design), rope=0.01, power=0.8) for each in (pilot, *pilot.ends())]
    assert made.detectable_range == (min(spread), max(spread))
    assert [option.folds for option in made.options[::6]] == [2, 3, 4, 5, 10, 20]
    assert [option.repeats for option in made.options[:6]] == [1, 2, 3, 5, 7, 10]
    assert made.planned in made.options
    for option in made.options:
        assert option.networks == option.folds * option.repeats
    for need in made.needs:
        powers = [
            power_of(pilot.expected(Design(need.folds, repeats, comparisons=6)), 0.03, rope=0.01)
            for repeats in (need.repeats or 1000, max(1, (need.repeats or 1000) - 1))
        ]
        assert (powers[0] >= 0.8) == (need.repeats is not None)
        assert need.repeats in (None, 1) or powers[1] < 0.8
        assert (need.repeats is None) == (need.least >= 0.03)

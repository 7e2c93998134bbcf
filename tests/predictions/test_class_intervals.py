"""Intervals of a class against direct computation, their coverage, and the cases without errors or digits."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from shearbench.predictions.scores import BySample, bootstrap_interval, counts_of, f1_interval, share_interval
from shearbench.statistics.proportions import wilson


def test_counts_are_means_over_the_networks() -> None:
    classes = np.array([[3, 3, 1, 3], [3, 1, 1, 1]])  # two networks; the digits are 3, 3, 3, 1
    predictions = BySample(np.arange(4), np.array([3, 3, 3, 1]), np.eye(10, dtype=np.float32)[classes])
    counts = counts_of(predictions, 3)
    assert (counts.true, counts.predicted, counts.either) == (3, (3 + 1) / 2, (4 + 3) / 2)


def test_f1_interval_belongs_to_the_f1_of_scikit_learn() -> None:
    labels, classes = np.array([1] * 30 + [0] * 70), np.array([1] * 25 + [0] * 5 + [1] * 4 + [0] * 66)
    f1 = f1_score(labels, classes)
    low, high = f1_interval(f1, 34)
    assert low < f1 < high
    hits_low, hits_high = wilson(25 / 34, 34)  # 25 hits, 5 missed, 4 taken wrongly
    assert (low, high) == pytest.approx((2 * hits_low / (1 + hits_low), 2 * hits_high / (1 + hits_high)))


@pytest.mark.parametrize("hit", [0.6, 0.95])
def test_f1_interval_covers_what_it_claims(hit: float) -> None:
    rng = np.random.default_rng(0)
    chances = np.array([0.1 * hit, 0.1 * (1 - hit), 0.05, 0.85])  # hit, missed, taken wrongly, none of these
    truth, covered = 2 * chances[0] / (2 * chances[0] + chances[1] + chances[2]), 0
    for hits, missed, taken, _ in rng.multinomial(1000, chances, 2000):
        low, high = f1_interval(2 * hits / (2 * hits + missed + taken), hits + missed + taken)
        covered += low <= truth <= high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_interval_without_an_error_has_a_width_and_without_a_digit_is_none() -> None:
    low, high = f1_interval(1.0, 40)
    assert (high, low) == (1, pytest.approx(2 * wilson(1.0, 40)[0] / (1 + wilson(1.0, 40)[0])))
    assert low < 0.97
    assert f1_interval(0.0, 5)[0] == 0
    for interval in (f1_interval(math.nan, 0), f1_interval(0.5, 0), share_interval(0.0, 0)):
        assert all(math.isnan(bound) for bound in interval)


def test_loss_interval_is_near_that_of_the_normal_distribution_for_many_digits() -> None:
    values = np.random.default_rng(1).exponential(size=4000)
    low, high = bootstrap_interval(values, np.random.default_rng(2))
    reach = stats.norm.ppf(0.975) * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - reach, values.mean() + reach), abs=reach / 8)
    assert bootstrap_interval(values, np.random.default_rng(2)) == (low, high)


@pytest.mark.parametrize("values", [[], [0.3], [0.0, 0.0, 0.0]])
def test_too_few_digits_show_no_spread(values: list[float]) -> None:
    assert all(math.isnan(bound) for bound in bootstrap_interval(np.array(values), np.random.default_rng(0)))

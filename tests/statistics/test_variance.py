"""The variance split: by hand, on simulated trainings of known components, and where nothing varies."""

import numpy as np
import pytest
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics.runs import sd_over_folds, split_variance

FOLDS = 5


def _deal(rng, repeats, n, folds=FOLDS):
    return np.array([rng.permutation(np.arange(n) % folds) for _ in range(repeats)])


def test_by_hand():
    folds = np.array([[0, 0, 0, 0, 1, 1, 1, 1]] * 2)
    correct = np.array([[1, 1, 1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0, 0, 0]], dtype=bool)
    split = split_variance(correct, folds)
    # accuracies: 3/4 and 2/4 in one repeat, 4/4 and 1/4 in the other
    assert split.total == pytest.approx((1 / 32 + 9 / 32) / 2)
    shares = np.array([1, 1, 1, 0.5, 1, 0.5, 0, 0])
    luck = (0.5 + 0.5) / 8 / 2
    assert split.data == pytest.approx((shares.var(ddof=1) - luck) / 4)
    assert split.training == pytest.approx(split.total - split.data)


def _trainings(rng, *, repeats, n, by_fold):
    """Correctness of networks whose skill moves with the fold, on digits of unequal difficulty."""
    folds = _deal(rng, repeats, n)
    hard = rng.beta(8, 2, n)
    skill = by_fold * rng.normal(size=(repeats, FOLDS))
    return rng.random((repeats, n)) < np.clip(hard + np.take_along_axis(skill, folds, axis=1), 0, 1), folds, hard


def test_known_components_are_found():
    rng = np.random.default_rng(0)
    n, m = 2000, 400
    splits, truths = [], []
    for _ in range(60):
        correct, folds, hard = _trainings(rng, repeats=4, n=n, by_fold=0.02)
        splits.append(split_variance(correct, folds))
        truths.append((hard.var(ddof=1) / m, 0.02**2 + (hard * (1 - hard)).mean() / m))
    data, training = np.mean(truths, axis=0)
    assert np.mean([split.data for split in splits]) == pytest.approx(data, rel=0.1)
    assert np.mean([split.training for split in splits]) == pytest.approx(training, rel=0.1)
    assert np.mean([split.total for split in splits]) == pytest.approx(data + training, rel=0.1)


def test_one_prediction_a_digit_bounds_the_data_from_above():
    rng = np.random.default_rng(1)
    once, often = [], []
    for _ in range(60):
        correct, folds, _ = _trainings(rng, repeats=3, n=1000, by_fold=0.02)
        once.append(split_variance(correct[:1], folds[:1]))
        often.append(split_variance(correct, folds))
    assert np.mean([split.data for split in once]) > 2 * np.mean([split.data for split in often])


def test_with_one_prediction_a_digit_the_parts_are_those_of_an_analysis_of_variance():
    rng = np.random.default_rng(2)
    folds = _deal(rng, 1, 500)
    correct = rng.random((1, 500)) < 0.9
    split = split_variance(correct, folds)
    groups = [correct[0, folds[0] == fold] for fold in range(FOLDS)]
    assert split.total / split.data == pytest.approx(stats.f_oneway(*groups).statistic)


def test_the_spread_over_folds_is_within_a_repeat():
    values = [0.9, 0.8, 0.7, 0.99, 0.99, 0.96]
    assert sd_over_folds(values) == pytest.approx(np.std(values, ddof=1))
    expected = np.sqrt((np.var(values[:3], ddof=1) + np.var(values[3:], ddof=1)) / 2)
    assert sd_over_folds(values, repeats=2) == pytest.approx(expected)
    rng = np.random.default_rng(3)
    correct, folds = rng.random((2, 90)) < 0.8, _deal(rng, 2, 90, 3)
    accuracies = [correct[r, folds[r] == fold].mean() for r in range(2) for fold in range(3)]
    assert split_variance(correct, folds).total ** 0.5 == pytest.approx(sd_over_folds(accuracies, repeats=2))


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("repeats", [1, 2])
def test_networks_that_are_all_right_or_all_wrong_do_not_vary(right, repeats):
    split = split_variance(np.full((repeats, 20), right), _deal(np.random.default_rng(0), repeats, 20))
    assert (split.total, split.data, split.training) == (0, 0, 0)


def test_folds_that_are_alike_leave_nothing_to_training():
    folds = np.arange(20)[None] % 2
    split = split_variance((np.arange(20) < 10)[None], folds)
    assert (split.total, split.training) == (0, 0)
    assert split.data > 0


@pytest.mark.parametrize(
    ("correct", "folds", "message"),
    [
        (np.ones((1, 1, 4), bool), np.zeros((1, 4), int), "boolean correctness"),
        (np.ones((1, 4)), np.arange(4)[None] % 2, "boolean correctness"),
        (np.ones((2, 4), bool), np.arange(4)[None] % 2, "boolean correctness"),
        (np.ones((1, 4), bool), np.zeros((1, 4), int), "at least 2 folds"),
        (np.ones((1, 4), bool), np.array([[0, 0, 0, 1]]), "at least 2 samples"),
    ],
)
def test_what_cannot_be_split_is_refused(correct, folds, message):
    with pytest.raises(InputError, match=message):
        split_variance(correct, folds)

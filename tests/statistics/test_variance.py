"""The variance split: by hand, on simulated scores of known components, and where nothing varies."""

import numpy as np
import pytest

from shearbench.errors import InputError
from shearbench.statistics.variance import split_variance


def test_by_hand():
    y = [[[0.5, 0.7], [0.2, 0.2], [0.9, 0.7]]]
    split = split_variance(y, cases=10)
    seed = (0.02 + 0 + 0.02) / 3
    means = np.array([0.6, 0.2, 0.8])
    data = (0.25 + 0.21 + 0.16 + 0.16 + 0.09 + 0.21) / 6 / 10
    between = means.var(ddof=1)
    assert (split.seed, split.data) == pytest.approx((seed, data))
    assert split.fold == pytest.approx(between - seed / 2 - data)
    assert split.total == pytest.approx(split.seed + split.data + split.fold)
    assert split.note == ""


def test_known_components_are_found():
    rng = np.random.default_rng(0)
    repeats, folds, seeds, cases = 400, 5, 3, 500
    true = 0.9 + 0.02 * rng.normal(size=(repeats, folds, 1))  # another training set
    seen = rng.binomial(cases, np.clip(true, 0, 1)) / cases  # only so many cases
    split = split_variance(np.clip(seen + 0.01 * rng.normal(size=(repeats, folds, seeds)), 0, 1), cases=cases)
    assert np.sqrt(split.seed) == pytest.approx(0.01, rel=0.05)
    assert np.sqrt(split.data) == pytest.approx(np.sqrt(0.09 / cases), rel=0.05)
    assert np.sqrt(split.fold) == pytest.approx(0.02, rel=0.1)


def test_one_seed_a_fold_cannot_be_told_from_the_fold():
    y = np.random.default_rng(1).uniform(0.6, 0.9, (3, 5, 1))
    split = split_variance(y, cases=1000)
    assert split.seed is None
    assert "one seed" in split.note
    assert split.total == pytest.approx(y.var(axis=1, ddof=1).mean())
    assert split.sd == pytest.approx(np.sqrt(split.total))


@pytest.mark.parametrize(("value", "data"), [(1.0, 0.0), (0.0, 0.0), (0.5, 0.0025)])
def test_scores_that_do_not_vary(value, data):
    split = split_variance(np.full((1, 2, 2), value), cases=100)
    assert (split.total, split.seed, split.fold) == (0, 0, 0)
    assert split.data == pytest.approx(data)
    assert ("set to 0" in split.note) == (data > 0)


@pytest.mark.parametrize(
    ("y", "cases"),
    [(np.zeros((1, 1, 3)), 5), (np.zeros((5, 2)), 5), (np.zeros((1, 2, 1)), 0), (np.full((1, 2, 1), 95.0), 5)],
)
def test_what_cannot_be_split_is_refused(y, cases):
    with pytest.raises(InputError):
        split_variance(y, cases=cases)

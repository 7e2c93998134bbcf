"""Samples in parts: no group and no copy on two sides of any split, classes as even as whole groups allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from shearbench.data.folds import RESERVED, FoldTable, make_repeats, split_off
from shearbench.data.units import UNKNOWN, assign_parts, units_of


def distinct(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64).reshape(n, 1)


def written(seed: int, n: int = 1500, writers: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels and writers of n samples; some writers wrote much, and each has favourites among the classes."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(writers, n, p=rng.dirichlet(np.full(writers, 1.5)))
    taste = rng.dirichlet(np.full(10, 3.0), writers)
    return np.array([rng.choice(10, p=taste[group]) for group in groups]), groups


def sides(part: np.ndarray, groups: np.ndarray) -> int:
    """The largest number of parts that one group stands in."""
    return max(len(np.unique(part[groups == group])) for group in np.unique(groups))


def test_units_by_hand() -> None:
    images = np.array([[5], [6], [5], [7], [8], [9], [7]])
    groups = np.array([3, 3, 4, UNKNOWN, 9, UNKNOWN, UNKNOWN])
    # rows 0 and 2 are copies, which links writers 3 and 4; rows 3 and 6 are copies of nobody's
    assert units_of(images, groups).tolist() == [0, 0, 0, 3, 4, 5, 3]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6))
def test_no_group_is_on_two_sides_of_any_split(seed: int, folds: int) -> None:
    labels, groups = written(seed)
    units = units_of(distinct(len(labels)), groups)
    tuning = split_off(units, labels, share=0.3, seed=seed, parameter="share")
    assert sides(tuning, groups) == 1
    table = make_repeats(units, labels, folds=folds, seeds=[seed, seed + 1], reserved=tuning)
    checked = FoldTable(np.arange(len(labels)), table, units)
    for number in checked.numbers:
        train, held_out = checked.split(number, "rest")
        assert not np.intersect1d(groups[train], groups[held_out]).size
        inner = split_off(units[train], labels[train], share=0.2, seed=seed, parameter="share")
        assert not np.intersect1d(groups[train[~inner]], groups[train[inner]]).size
    assert (table[:, tuning] == RESERVED).all()


def test_classes_and_sizes_are_more_even_than_in_scikit_learn_s_grouped_folds() -> None:
    def unevenness(labels: np.ndarray, part: np.ndarray) -> tuple[float, int]:
        counts = np.array([np.bincount(labels[part == fold], minlength=10) for fold in range(5)])
        return float(((counts - counts.mean(axis=0)) ** 2 / counts.mean(axis=0)).sum()), int(np.ptp(np.bincount(part)))

    found = []
    for seed in range(10):
        labels, groups = written(seed)
        theirs = np.empty_like(labels)
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        for fold, (_, held_out) in enumerate(splitter.split(labels, labels, groups)):
            theirs[held_out] = fold
        ours = assign_parts(units_of(distinct(len(labels)), groups), labels, [0.2] * 5, seed=seed)
        found.append([unevenness(labels, ours), unevenness(labels, theirs)])
    (our_chi2, our_range), (their_chi2, their_range) = np.mean(found, axis=0)
    assert our_chi2 < their_chi2  # chi-square of classes by folds: 11 against 15
    assert our_range < their_range  # digits of the largest fold beyond those of the smallest: 8 against 20


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5])
def test_shares_are_kept_to_a_sample_where_groups_are_unknown(share: float) -> None:
    labels = np.repeat(np.arange(4), [200, 100, 60, 40])  # unequal classes
    part = assign_parts(np.arange(400), labels, [1 - share, share], seed=7)
    np.testing.assert_allclose(np.bincount(labels[part == 1]), share * np.array([200, 100, 60, 40]), atol=1)


def test_labels_and_groups_may_be_any_integers_and_rows_in_any_order() -> None:
    labels, groups = written(3, n=400)
    units = units_of(distinct(400), groups)
    part = assign_parts(units, labels, [0.8, 0.2], seed=5)
    np.testing.assert_array_equal(assign_parts(units, labels * 1000 - 7, [0.8, 0.2], seed=5), part)
    order = np.random.default_rng(0).permutation(400)
    np.testing.assert_array_equal(assign_parts(units[order], labels[order], [0.8, 0.2], seed=5), part[order])
    assert (assign_parts(units, labels, [0.8, 0.2], seed=6) != part).any()

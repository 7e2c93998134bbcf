"""Folds are stratified, disjoint, reproducible, and never part copies of one image or digits of one writer."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shearbench.data.folds import (
    HELD_OUT,
    FoldTable,
    make_folds,
    make_repeats,
    nested_part,
    read_folds,
    split_off,
    write_folds,
)
from shearbench.data.units import UNKNOWN, first_occurrences, units_of
from shearbench.errors import InputError
from shearbench.seeds import seed_for


def distinct(n: int) -> np.ndarray:
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, :4] = np.arange(n, dtype=">u4").view(np.uint8).reshape(n, 4)
    return images


def alone(n: int) -> np.ndarray:
    """Units of samples that have no copy and no known writer."""
    return units_of(distinct(n), np.full(n, UNKNOWN))


def test_a_fold_holds_a_fifth_of_each_class() -> None:
    labels = np.arange(500) % 10
    folds = make_folds(alone(500), labels, folds=5, seed=seed_for(42, "folds"))
    assert set(Counter(zip(folds.tolist(), labels.tolist(), strict=True)).values()) == {10}


def test_another_seed_deals_other_folds() -> None:
    labels = np.arange(200) % 10
    one, again, other = (make_folds(alone(200), labels, folds=4, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 119), min_size=1, max_size=60), st.integers(2, 5))
def test_copies_never_stand_in_two_folds(copied: list[int], count: int) -> None:
    images = np.concatenate([distinct(120), distinct(120)[copied]])
    labels = np.concatenate([np.arange(120) % 10, np.array(copied) % 10])
    units = units_of(images, np.full(len(images), UNKNOWN))
    folds = make_folds(units, labels, folds=count, seed=0)
    np.testing.assert_array_equal(folds[120:], folds[copied])


def test_first_occurrences_by_hand() -> None:
    images = distinct(4)[[2, 0, 2, 3, 0]]
    first, of_image = first_occurrences(images)
    assert first.tolist() == [0, 1, 3]
    assert of_image.tolist() == [0, 1, 0, 2, 1]


def test_more_folds_than_the_smallest_class_names_both() -> None:
    labels = np.array([0] * 20 + [7] * 4)
    with pytest.raises(InputError, match=r"cv\.folds is 5 and class 7 has 4 .*; set cv\.folds to 4 or less"):
        make_folds(alone(24), labels, folds=5, seed=0)
    copies = np.concatenate([distinct(20), distinct(24)[20:23], distinct(24)[22:23]])  # class 7: 3 distinct
    units, names = units_of(copies, np.full(24, UNKNOWN)), [f"kind {number}" for number in range(8)]
    with pytest.raises(InputError, match=r"class 'kind 7' has 3 .*; set cv\.folds to 3 or less"):
        make_folds(units, labels, folds=4, seed=0, names=names)
    with pytest.raises(InputError, match=r"class 7 has 1 .*; add images of this class, or remove it"):
        make_folds(alone(21), labels[:21], folds=2, seed=0)


def test_a_split_of_the_table_is_disjoint_and_complete(tmp_path: Path) -> None:
    labels = np.arange(60) % 10
    table = FoldTable(np.arange(60), make_folds(alone(60), labels, folds=3, seed=0)[None])
    write_folds(tmp_path / "folds.npz", table)
    back = read_folds(tmp_path / "folds.npz")
    assert (back.count, back.repeats, back.hash_of(1)) == (3, 1, table.hash_of(1))
    held_out = [back.split(fold, "rest")[1] for fold in range(3)]
    assert sorted(np.concatenate(held_out).tolist()) == list(range(60))
    for fold in range(3):
        train, validation = back.split(fold, "rest")
        assert sorted([*train, *validation]) == list(range(60))


def test_a_network_of_a_disjoint_set_trains_on_its_own_fold_and_holds_out_some_of_the_next() -> None:
    row = np.repeat(np.arange(3), [HELD_OUT + 5, HELD_OUT + 7, 20])
    table = FoldTable(np.arange(len(row)), np.stack([row, np.roll(row, 3)]))
    parts = [table.split(number, "fold") for number in table.numbers]
    for number, (train, held_out) in enumerate(parts):
        own = table.folds[number // 3]
        assert set(own[train]) == {number % 3}
        assert set(own[held_out]) == {(number + 1) % 3}
        assert len(held_out) == min(HELD_OUT, (own == (number + 1) % 3).sum())
    assert sorted(np.concatenate([train for train, _ in parts[:3]]).tolist()) == list(range(len(row)))


def test_repeats_assign_anew_and_leave_the_first_as_it_was() -> None:
    labels = np.arange(200) % 10
    repeats = make_repeats(alone(200), labels, folds=4, seeds=[42, 7, 8])
    np.testing.assert_array_equal(repeats[0], make_folds(alone(200), labels, folds=4, seed=42))
    assert 0.15 < (repeats[1] == repeats[2]).mean() < 0.35  # a quarter meets by chance
    for row in repeats:
        assert set(Counter(zip(row.tolist(), labels.tolist(), strict=True)).values()) == {5}


def test_folds_are_numbered_through_the_repeats() -> None:
    folds = make_repeats(alone(60), np.arange(60) % 10, folds=3, seeds=[0, 1])
    table = FoldTable(np.arange(60), folds)
    assert (table.count, table.repeats, list(table.numbers)) == (3, 2, list(range(6)))
    for number in table.numbers:
        train, held_out = table.split(number, "rest")
        assert sorted([*train, *held_out]) == list(range(60))
        np.testing.assert_array_equal(folds[number // 3][held_out], np.full(20, number % 3))
    one = FoldTable(np.arange(60), folds[:1])
    assert [table.hash_of(number) == one.hash_of(0) for number in table.numbers] == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("ids", "folds", "rule"),
    [
        (np.arange(4), np.array([[0, 1, 0, 1], [0, 1, 2, 0]]), r"in every repeat, got \[0, 1\]"),
        (np.arange(4), np.zeros((0, 4), np.int64), "must have a repeat"),
        (np.arange(4), np.array([0, 0, 2, 2]), r"must number the folds 0, 1, ... in every repeat, got \[0, 2\]"),
        (np.arange(4), np.zeros(4, np.int64), r"got \[0\]"),
        (np.zeros(4, np.int64), np.array([0, 1, 0, 1]), "each id once"),
        (np.arange(3), np.array([0, 1, 0, 1]), "int64"),
        (np.arange(4), np.array([0.0, 1.0, 0.0, 1.0]), "float64"),
    ],
)
def test_a_wrong_table_is_refused(ids: np.ndarray, folds: np.ndarray, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        FoldTable(ids, np.atleast_2d(folds))


def test_a_table_that_parts_a_writer_is_refused() -> None:
    with pytest.raises(InputError, match="must have samples of one writer, and copies, in one fold"):
        FoldTable(np.arange(4), np.array([[0, 1, 0, 1]]), np.array([0, 0, 2, 3]))


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "folds.npz", ids=np.arange(3))
    with pytest.raises(InputError, match=r"folds\.npz must hold the arrays .* but has no \['folds', 'units'\]"):
        read_folds(tmp_path / "folds.npz")


def inner_part(units: np.ndarray, labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    return split_off(units, labels, share=share, seed=seed, parameter="cv.inner_fraction")


def test_the_inner_part_is_stratified_and_blind_to_order() -> None:
    ids, labels = np.arange(100, 300), np.arange(200) % 10
    inner = inner_part(ids, labels, 0.15, 3)
    assert inner.sum() == 30
    assert set(Counter(labels[inner].tolist()).values()) == {3}
    order = np.random.default_rng(0).permutation(200)
    shuffled = inner_part(ids[order], labels[order], 0.15, 3)
    assert set(ids[order][shuffled]) == set(ids[inner])
    assert set(ids[inner]) != set(ids[inner_part(ids, labels, 0.15, 4)])


def test_an_inner_part_too_small_for_the_classes_is_refused() -> None:
    with pytest.raises(InputError, match=r"0\.1 of 40 samples by 40 independent units leaves class 0 on one"):
        inner_part(np.arange(40), np.arange(40) % 10, 0.1, 0)


def test_no_global_random_state_is_touched() -> None:
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    make_folds(alone(100), np.arange(100) % 10, folds=5, seed=0)
    inner_part(np.arange(100), np.arange(100) % 10, 0.2, 0)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_smaller_parts_are_stratified_parts_of_larger_ones() -> None:
    labels = np.repeat([0, 1, 2], [80, 40, 8])
    parts = [set(nested_part(labels, share=share, seed=3).tolist()) for share in (1.0, 0.5, 0.25, 0.125, 0.01)]
    assert [len(part) for part in parts] == [128, 64, 32, 16, 3], "one of each class at least"
    for larger, smaller in itertools.pairwise(parts):
        assert smaller < larger
    assert Counter(labels[sorted(parts[2])].tolist()) == {0: 20, 1: 10, 2: 2}
    assert set(nested_part(labels, share=0.5, seed=4).tolist()) != parts[1]

"""The tuning part: stratified, copies together, the same for every dataset; and what is refused."""

import numpy as np
import pytest

from shearbench.data.dataset import Dataset
from shearbench.data.folds import (
    RESERVED,
    FoldTable,
    Reserved,
    make_repeats,
    part_of,
    read_part,
    refuse_other,
    refuse_overlap,
    split_off,
    write_part,
)
from shearbench.data.units import UNKNOWN, units_of
from shearbench.errors import InputError


def _digits(count=200, copies=0):
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    images[count - copies :] = images[:copies]
    return images, np.arange(count) % 10


def _units(images):
    return units_of(images, np.full(len(images), UNKNOWN))


def _reserved(images, labels, share=0.3, seed=1):
    return split_off(_units(images), labels, share=share, seed=seed, parameter="tuning.share")


def test_a_share_of_every_class_is_split_off():
    images, labels = _digits()
    part = _reserved(images, labels)
    assert np.bincount(labels[part]).tolist() == [6] * 10
    assert (part != _reserved(images, labels, seed=2)).any()
    assert (part == _reserved(images, labels)).all()


def test_copies_of_an_image_are_on_one_side():
    images, labels = _digits(copies=50)
    part = _reserved(images, labels)
    np.testing.assert_array_equal(part[:50], part[150:])
    assert 0 < part[:50].sum() < 50


def test_a_share_that_leaves_a_side_without_a_class_is_refused():
    images, labels = _digits(count=20)
    with pytest.raises(InputError, match=r"tuning\.share must leave each of 10 classes on both sides, but 0\.1 of 20"):
        _reserved(images, labels, share=0.1)


def test_what_is_reserved_trains_in_every_fold_and_is_held_out_in_none():
    images, labels = _digits()
    part = _reserved(images, labels)
    table = FoldTable(np.arange(200), make_repeats(_units(images), labels, folds=4, seeds=[1, 2], reserved=part))
    np.testing.assert_array_equal(table.reserved_rows, np.flatnonzero(part))
    held_out = [table.split(number, "rest")[1] for number in table.numbers]
    for number, rows in zip(table.numbers, held_out, strict=True):
        assert not part[rows].any()
        assert part[table.split(number, "rest")[0]].sum() == part.sum()
    np.testing.assert_array_equal(np.sort(np.concatenate(held_out[:4])), np.flatnonzero(~part))


def test_without_reserved_samples_the_folds_are_what_they_were():
    images, labels = _digits()
    nobody = make_repeats(_units(images), labels, folds=4, seeds=[1], reserved=np.zeros(200, np.bool_))
    np.testing.assert_array_equal(make_repeats(_units(images), labels, folds=4, seeds=[1]), nobody)
    assert (nobody != RESERVED).all()


def test_a_sample_that_is_reserved_in_one_repeat_only_is_refused():
    with pytest.raises(InputError, match="must reserve a sample in every repeat or in none"):
        FoldTable(np.arange(4), np.array([[0, 1, -1, 0], [0, 1, 0, 1]]))


def _dataset(ids):
    return Dataset("d", ids, np.full((len(ids), 1, 28, 28), 7, np.uint8), ids % 10)


def test_the_part_is_written_and_its_samples_found_in_a_dataset(tmp_path):
    write_part(tmp_path / "tuning_part.npz", np.array([9, 3, 5]))
    ids = read_part(tmp_path / "tuning_part.npz")
    assert part_of(_dataset(np.arange(10, dtype=np.int64)[::-1]), ids).ids.tolist() == [9, 5, 3]
    with pytest.raises(InputError, match="has 2 of the 3 samples of the tuning part"):
        part_of(_dataset(np.arange(6, dtype=np.int64)), ids)


def test_settings_found_on_other_digits_or_other_data_are_refused():
    part = _dataset(np.arange(5))
    refuse_other("mnist-cnn2", Reserved.of(part), part)
    with pytest.raises(InputError, match=r"mnist-cnn2 was found on samples with the ids hash .*make tune"):
        refuse_other("mnist-cnn2", Reserved.of(_dataset(np.arange(6))), part)
    other = Dataset("d", part.ids, part.inputs + np.uint8(1), part.labels)
    with pytest.raises(InputError, match="the data hash"):
        refuse_other("mnist-cnn2", Reserved.of(other), part)


def test_scores_on_digits_that_the_search_has_seen_are_refused():
    refuse_overlap("mnist-cnn2", np.arange(5), np.arange(5, 9), "test digits")
    with pytest.raises(InputError, match=r"mnist-cnn2: .* has seen 2 of the test digits \(3, 4\)"):
        refuse_overlap("mnist-cnn2", np.arange(5), np.arange(3, 9), "test digits")
    with pytest.raises(InputError, match=r"1 of the images \(abc\)"):
        refuse_overlap("mnist-cnn2", np.array([b"abc", b"x"]), np.array([b"abc", b"y"]), "images")

"""Stage prepare: nothing is read past the guard, ids are shared and unique, folds keep copies together."""

from pathlib import Path

import numpy as np
import pytest

from shearbench.data.dataset import read_samples
from shearbench.data.folds import make_folds, read_folds
from shearbench.data.idx import GROUPS_FILES, encode, read_images, read_labels
from shearbench.data.raw import tree_of, write_adopted
from shearbench.data.units import units_of
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.seeds import seed_for
from shearbench.stages import prepare


def test_digits_are_those_of_the_files_and_ids_count_on(small_project: Path, params: Params) -> None:
    prepare.main(params, small_project)
    raw, build = small_project / "data" / "mnist", small_project / "build" / "samples"
    train, test = read_samples(build, "train"), read_samples(build, "test")
    assert train.ids.tolist() == list(range(60))
    assert test.ids.tolist() == list(range(60, 80))
    for samples, stem in ((train, "train"), (test, "t10k")):
        np.testing.assert_array_equal(samples.images, read_images(raw / f"{stem}-images-idx3-ubyte"))
        np.testing.assert_array_equal(samples.labels, read_labels(raw / f"{stem}-labels-idx1-ubyte"))


def test_folds_are_of_the_training_digits_and_keep_copies_together(small_project: Path, params: Params) -> None:
    prepare.main(params, small_project)
    table = read_folds(small_project / "build" / "folds" / "mnist.npz")
    assert table.ids.tolist() == list(range(60))
    assert table.count == 3
    assert table.folds[0, 0] == table.folds[0, 40]


def test_an_added_repeat_deals_anew_and_moves_nothing(small_project: Path, params: Params) -> None:
    path = small_project / "build" / "folds" / "mnist.npz"
    prepare.main(params, small_project)
    first = read_folds(path)
    twice = params.model_copy(update={"cv": params.cv.model_copy(update={"repeats": 2})})
    prepare.main(twice, small_project)
    table = read_folds(path)
    np.testing.assert_array_equal(table.folds[0], first.folds[0])
    train = read_samples(small_project / "build" / "samples", "train")
    expected = make_folds(
        units_of(train.images, train.groups), train.labels, folds=3, seed=seed_for(params.seed, "folds")
    )
    np.testing.assert_array_equal(first.folds[0], expected)
    assert not np.array_equal(table.folds[1], first.folds[0])
    assert table.hash_of(0) == first.hash_of(0) != table.hash_of(3)


def test_the_same_bytes_every_time_and_other_folds_for_another_seed(small_project: Path, params: Params) -> None:
    files = [small_project / "build" / name / "mnist.npz" for name in ("samples/train", "samples/test", "folds")]
    prepare.main(params, small_project)
    before = [path.read_bytes() for path in files]
    prepare.main(params, small_project)
    assert [path.read_bytes() for path in files] == before
    prepare.main(params.model_copy(update={"seed": 43}), small_project)
    assert [path.read_bytes() == content for path, content in zip(files, before, strict=True)] == [True, True, False]


def test_data_that_is_not_adopted_makes_nothing(small_project: Path, params: Params) -> None:
    (small_project / "data" / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(b"other")
    with pytest.raises(InputError, match="records"):
        prepare.main(params, small_project)
    assert not (small_project / "build").exists()


def test_too_many_folds_make_nothing(small_project: Path, params: Params) -> None:
    many = params.model_copy(update={"cv": params.cv.model_copy(update={"folds": 7})})
    with pytest.raises(
        InputError, match=r"cv\.folds is 7 and class '0' has \d independent .*; set cv\.folds to \d or less"
    ):
        prepare.main(many, small_project)
    assert not (small_project / "build").exists()


def test_groups_of_the_raw_data_part_no_split(small_project: Path, params: Params) -> None:
    raw = small_project / "data" / "mnist"
    wrote = {"train": np.arange(60) // 10 % 6, "test": 6 + np.arange(20) // 10}
    for split, groups in wrote.items():
        (raw / GROUPS_FILES[split]).write_bytes(encode(groups.astype(np.int32)))  # type: ignore[index]
    write_adopted(small_project / "data.dvc", "data", tree_of(small_project / "data"), params.sources)
    prepare.main(params, small_project)
    train = read_samples(small_project / "build" / "samples", "train")
    assert (train.groups.tolist(), train.groups.dtype) == (wrote["train"].tolist(), np.int64)
    table = read_folds(small_project / "build" / "folds" / "mnist.npz")
    for number in table.numbers:
        outer, held_out = table.split(number, "rest")
        assert not np.intersect1d(train.groups[outer], train.groups[held_out]).size


def test_a_group_in_training_and_test_makes_nothing(small_project: Path, params: Params) -> None:
    for split, count in (("train", 60), ("test", 20)):
        path = small_project / "data" / "mnist" / GROUPS_FILES[split]  # type: ignore[index]
        path.write_bytes(encode(np.arange(count, dtype=np.int32)))
    write_adopted(small_project / "data.dvc", "data", tree_of(small_project / "data"), params.sources)
    with pytest.raises(InputError, match="20 writers have digits in the training and in the test part"):
        prepare.main(params, small_project)
    assert not (small_project / "build").exists()

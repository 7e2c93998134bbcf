"""Digits, fields and datasets: what goes in comes out, and what breaks a rule is named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.data import dataset as ds
from shearbench.data.config import ImageDataset, SimulatedDataset
from shearbench.errors import InputError
from shearbench.records import hash_arrays, read_npz, write_npz

N = 12
DOUBLED = ImageDataset(source="mnist", channels=2, normalise="unit")
SHEAR = SimulatedDataset(source="simulated", load="shear", step=5, normalise="pixel")


def samples(first: int = 0) -> ds.Samples:
    images = np.random.default_rng(first).integers(0, 256, (N, 28, 28), dtype=np.uint8)
    return ds.Samples("some digits", np.arange(first, first + N), images, np.arange(N) % 10)


def fields(ids: np.ndarray) -> ds.Fields:
    displacement = np.random.default_rng(1).normal(size=(N, 2, 2, 28, 28)).astype(np.float32)
    return ds.Fields("some fields", ids, np.array([1, 5]), displacement)


def written(folder: Path) -> ds.Dataset:
    train, test = (ds.Dataset("doubled", d.ids, ds.materialise(DOUBLED, d), d.labels) for d in (samples(), samples(N)))
    ds.write_dataset(folder, {"train": train, "test": test}, {"entry": DOUBLED.model_dump()})
    return train


def test_digits_come_back_as_they_were_written(tmp_path: Path) -> None:
    ds.write_samples(tmp_path, "train", samples())
    back = ds.read_samples(tmp_path, "train")
    for name in ("ids", "images", "labels"):
        np.testing.assert_array_equal(getattr(back, name), getattr(samples(), name), strict=True)


def test_a_doubled_image_is_the_image_in_both_channels() -> None:
    inputs = ds.materialise(DOUBLED, samples())
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, np.stack([samples().images] * 2, axis=1))


def test_a_field_dataset_is_the_displacement_at_its_step() -> None:
    some = fields(samples().ids)
    np.testing.assert_array_equal(ds.materialise(SHEAR, samples(), some), some.displacement[:, 1], strict=True)


def test_fields_of_other_digits_or_without_the_step_are_refused() -> None:
    with pytest.raises(InputError, match="ids"):
        ds.materialise(SHEAR, samples(), fields(samples().ids[::-1].copy()))
    with pytest.raises(InputError, match=r"no step 3, only \[1, 5\]"):
        ds.materialise(SHEAR.model_copy(update={"step": 3}), samples(), fields(samples().ids))


def test_a_dataset_comes_back_and_its_card_says_what_it_is(tmp_path: Path) -> None:
    train = written(tmp_path / "doubled")
    back = ds.load(tmp_path / "doubled", "train")
    np.testing.assert_array_equal(back.inputs, train.inputs, strict=True)
    assert (back.name, back.channels) == ("doubled", 2)
    card = ds.read_card(tmp_path / "doubled")
    assert card["counts"] == {"train": N, "test": N}
    assert card["entry"] == {"source": "mnist", "channels": 2, "normalise": "unit"}
    assert card["hashes"]["train"] == hash_arrays(train.ids, train.inputs, train.labels, train.groups)


def test_loading_the_training_part_needs_no_test_file(tmp_path: Path) -> None:
    written(tmp_path / "doubled")
    (tmp_path / "doubled" / "test.npz").unlink()
    ds.load(tmp_path / "doubled", "train")
    with pytest.raises(InputError, match=r"test\.npz is missing"):
        ds.load(tmp_path / "doubled", "test")


def test_one_changed_pixel_is_found(tmp_path: Path) -> None:
    written(tmp_path / "doubled")
    path = tmp_path / "doubled" / "train.npz"
    arrays = read_npz(path)
    arrays["inputs"][3, 1, 14, 14] ^= 1
    write_npz(path, arrays)
    with pytest.raises(InputError, match=r"vouches for"):
        ds.load(tmp_path / "doubled", "train")


def test_a_file_without_an_array_and_a_card_without_hashes_are_named(tmp_path: Path) -> None:
    write_npz(tmp_path / "train" / "mnist.npz", {"ids": np.arange(3)})
    with pytest.raises(InputError, match=r"mnist\.npz must hold .* but has no \['images', 'labels', "):
        ds.read_samples(tmp_path, "train")
    (tmp_path / "card.json").write_text("[]")
    with pytest.raises(InputError, match=r"card\.json is not the card"):
        ds.load(tmp_path, "train")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"ids": np.zeros(N, np.int64)}, "ids must be unique, but 11"),
        ({"ids": np.arange(N, dtype=np.int32)}, r"ids must be int64 \(n,\), got int32"),
        ({"labels": np.arange(N)}, "labels must be 0 to 9, got 0 to 11"),
        ({"labels": np.arange(3)}, "one label an id, got 3 for 12"),
        ({"inputs": np.zeros((N, 28, 28), np.uint8)}, r"must be uint8 or float32 \(12, 1, 28, 28\)"),
        ({"inputs": np.zeros((N, 5, 28, 28), np.uint8)}, "must have 1 to 4 channels, got 5"),
        ({"inputs": np.zeros((N, 1, 7, 28), np.uint8)}, "must be 8 to 224 pixels a side, got 7 x 28"),
        ({"groups": np.zeros(3, np.int64)}, r"groups must be int64 \(n,\)"),
        ({"classes": ("only",)}, "2 to 1000 classes, got 1"),
        ({"inputs": np.zeros((N, 1, 28, 28))}, "got float64"),
        ({"inputs": np.full((N, 2, 28, 28), np.nan, np.float32)}, "must be finite"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_name_rule_and_value(change: dict[str, Any], rule: str) -> None:
    good = ds.Dataset("mine", samples().ids, samples().images[:, None], samples().labels)
    with pytest.raises(InputError, match=f"mine: .*{rule}"):
        replace(good, **change)

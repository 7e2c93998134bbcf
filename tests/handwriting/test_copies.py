"""Copies: the planted ones are found and no honest digit is, against neighbours computed one by one."""

from pathlib import Path

import numpy as np
import pytest
from damaged import DAMAGES
from PIL import Image, ImageDraw
from scipy.spatial.distance import cdist

from shearbench.data import class_digits
from shearbench.data import mnist as source
from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import read_file
from shearbench.handwriting import copies
from shearbench.handwriting.copies import Copy, Limits, Reference
from shearbench.handwriting.folder import ClassDigits, read_folder
from shearbench.handwriting.preparation import mnist


@pytest.fixture(scope="module")
def reference() -> Reference:
    pairs = source.collect(BundledMnist(kind="bundled"), Path())
    (train, first, _), (test, second, _) = pairs["train"], pairs["test"]
    labels = np.concatenate([first, second]).astype(np.int64)
    return Reference(train, test, labels, np.arange(len(labels)))


@pytest.fixture(scope="module")
def limits(reference: Reference) -> Limits:
    return copies.limits_of(reference, seed=42)


def test_the_nearest_are_those_that_scipy_finds(monkeypatch: pytest.MonkeyPatch, reference: Reference) -> None:
    monkeypatch.setattr(copies, "_BLOCK", 70)
    images, others = reference.test[:40], reference.train[:300]
    found = copies.nearest(images, others)
    flat, other = (each.reshape(len(each), -1) / 255.0 for each in (images, others))
    correlation, distance = 1 - cdist(flat, other, "correlation"), cdist(flat, other) / 28
    np.testing.assert_array_equal(found.correlated, correlation.argmax(axis=1))
    np.testing.assert_allclose(found.correlation, correlation.max(axis=1), atol=1e-5)
    np.testing.assert_array_equal(found.close, distance.argmin(axis=1))
    np.testing.assert_allclose(found.distance, distance.min(axis=1), atol=1e-4)


def test_a_blank_image_is_near_to_nothing(reference: Reference) -> None:
    found = copies.nearest(np.zeros((1, 28, 28), np.uint8), reference.train[:100])
    assert found.correlation[0] == 0


def test_further_digits_of_mnist_are_hardly_ever_flagged(limits: Limits) -> None:
    assert limits.sampled == 500
    assert limits.flagged <= 0.01
    assert (limits.correlation < 1).all()
    assert limits.correlation.argmax() == 1  # two ones are always alike


def test_every_planted_copy_is_found_and_at_most_one_honest_digit_in_a_hundred(
    stand_in: ClassDigits, reference: Reference, limits: Limits
) -> None:
    digits, drawings = stand_in, {drawing.file: drawing for drawing in class_digits.draw_class()}
    found = copies.find_copies(digits.images("mnist"), digits.accepted("mnist"), reference, limits)
    planted = {name: one.source for name, one in drawings.items() if one.planted == "mnist_copy"}
    named = {digits.files[copy.row]: f"mnist bundled train {copy.mnist}" for copy in found}
    assert planted.items() <= named.items()  # each, and of which digit
    honest = len(digits.files) - len(planted)
    assert len(named.keys() - planted.keys()) / honest <= 0.01
    assert set(copies.copying_groups(found, digits.groups)) == {4, 9}


def test_inverted_and_enlarged_copies_are_found_too(reference: Reference, limits: Limits, tmp_path: Path) -> None:
    hidden = ("inverted", "canvas", "palette")
    rows = [row for row in range(40) if reference.labels[row] != 1][:30]
    for place, row in enumerate(rows):
        image = DAMAGES[hidden[place % 3]](reference.train[row], np.random.default_rng(place))
        image.save(tmp_path / f"{reference.labels[row]}-1-{place}.png")
    digits = read_folder(tmp_path, workers=1)
    found = copies.find_copies(digits.images("mnist"), digits.accepted("mnist"), reference, limits)
    of = {int(digits.files[copy.row].split("-")[2].removesuffix(".png")): copy.mnist for copy in found}
    assert np.mean([of.get(place) == row for place, row in enumerate(rows)]) >= 0.7


def test_a_group_is_named_only_for_more_than_chance() -> None:
    groups = np.repeat([1, 2, 3], 40)

    def flagged(*rows: int) -> list[Copy]:
        return [Copy(row, 0, 1.0, 0.0, "both") for row in rows]

    assert copies.copying_groups(flagged(0, 41), groups) == {}
    # P(5 or more of 40 at 1 %) is 5.2e-5, below 0.001 / 3; P(4 or more) is 7e-4, above
    assert copies.copying_groups(flagged(*range(40, 45)), groups) == {2: (5, 40)}
    assert copies.copying_groups(flagged(*range(40, 44)), groups) == {}


def test_duplicates_in_the_folder_are_found_by_bytes_pixels_and_likeness(reference: Reference, limits: Limits) -> None:
    eight, other = reference.train[reference.labels[: len(reference.train)] == 8][:2]
    alike = np.clip(eight.astype(int) + np.random.default_rng(0).integers(0, 9, (28, 28)), 0, 255).astype(np.uint8)
    blank = np.zeros((28, 28), np.uint8)
    images = np.stack([eight, other, eight, alike, blank, blank])
    usable = np.array([True, True, True, True, False, False])
    found = copies.find_duplicates(images, usable, list("abcdee"), np.full(6, 8), limits)
    assert {(one.rows, one.kind) for one in found} == {((0, 2, 3), "alike"), ((4, 5), "bytes")}


def test_many_equal_files_are_one_group(reference: Reference, limits: Limits) -> None:
    images = np.repeat(reference.train[:1], 1500, axis=0)
    found = copies.find_duplicates(images, np.ones(1500, bool), ["a"] * 1500, np.full(1500, 8), limits)
    assert [(len(one.rows), one.kind) for one in found] == [(1500, "bytes")]


@pytest.mark.parametrize("bend", [0, 4, 8])
def test_a_seven_of_two_straight_lines_is_no_copy(
    bend: int, reference: Reference, limits: Limits, tmp_path: Path
) -> None:
    image = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(image).line([(55, 40), (140, 40 + bend), (85 + bend, 170)], fill=0, width=14, joint="curve")
    image.save(tmp_path / "7-1-1.png")
    prepared = mnist(read_file(tmp_path / "7-1-1.png")).image[None]
    assert copies.find_copies(prepared, np.array([True]), reference, limits) == []

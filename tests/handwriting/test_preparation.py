"""Preparations: an MNIST digit goes through unchanged, a damaged one comes back, lengths are what they were drawn."""

import os
from pathlib import Path

import damaged
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.linear_model import RidgeClassifier

from shearbench.data import mnist as source
from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import Picture, read_file
from shearbench.data.idx import MNIST_FILES, read_pair
from shearbench.handwriting import ink, paper, parts, preparation
from shearbench.handwriting.preparation import PREPARATIONS, Prepared, mnist, study

SHARED = os.environ.get("SHEARBENCH_SHARED_DATA", "")


def picture(grey: np.ndarray) -> Picture:
    """A grey picture (h, w) uint8 as it would be read."""
    levels = grey.astype(np.uint8)
    small = np.asarray(Image.fromarray(levels).resize((28, 28)))
    opaque = np.full(levels.shape, 255, np.uint8)
    return Picture(np.repeat(levels[..., None], 3, axis=2), opaque, small, "PNG", "L", levels.shape[::-1])


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels, _ = source.collect(BundledMnist(kind="bundled"), Path())["test"]
    return images, labels


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _through(name: str, digit: np.ndarray, number: int, folder: Path) -> Prepared:
    image = damaged.DAMAGES[name](digit, np.random.default_rng([number, len(name)]))
    image.save(folder / "a.png", "JPEG" if image.format == "JPEG" else "PNG")
    return mnist(read_file(folder / "a.png"))


Pair = tuple[np.ndarray, np.ndarray]


def _loss(before: Pair, prepared: np.ndarray, train: Pair) -> float:
    """By how many points a linear classifier of pixels reads prepared digits worse; it forgives no shift."""
    flat = [images.reshape(len(images), -1) / 255 for images in (train[0], before[0], prepared)]
    reader = RidgeClassifier(alpha=100).fit(flat[0], train[1])
    right = [reader.score(each, before[1]) for each in flat[1:]]
    assert right[0] > 0.8
    return 100 * (right[0] - right[1])


def test_an_mnist_digit_goes_through_mnist_nearly_unchanged(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    prepared = np.stack([mnist(picture(image)).image for image in images])
    similar = np.array([_similarity(before, after) for before, after in zip(images, prepared, strict=True)])
    assert np.mean(similar < 0.99) < 0.02
    assert np.abs(images.astype(int) - prepared).mean() < 0.6  # grey levels of 255
    train = source.collect(BundledMnist(kind="bundled"), Path())["train"][:2]
    assert round(_loss((images, labels), prepared, train), 9) <= 0.2


@pytest.mark.slow
@pytest.mark.skipif(not SHARED, reason="SHEARBENCH_SHARED_DATA names the folder that has all of MNIST")
def test_all_of_mnists_test_digits_lose_at_most_a_fifth_of_a_point() -> None:
    folder = Path(SHARED) / "mnist"
    pairs = {}
    for split in ("train", "test"):
        names = [name if (folder / name).is_file() else f"{name}.gz" for name in MNIST_FILES[split]]
        pairs[split] = read_pair(*(folder / name for name in names))
    prepared = np.stack([mnist(picture(image)).image for image in pairs["test"][0]])
    assert _loss(pairs["test"], prepared, pairs["train"]) <= 0.2


LIKE = {"thin_pen": 0.75, "thick_pen": 0.75, "corner": 0.8, "small_photograph": 0.7}
"""Least median correlation with the digit that was drawn, where its strokes were changed or lost; 0.9 elsewhere."""


@pytest.mark.parametrize("name", damaged.DAMAGES)
def test_a_damaged_digit_comes_back(name: str, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    chosen = digits[0][:30]
    prepared = [_through(name, digit, number, tmp_path) for number, digit in enumerate(chosen)]
    similar = [_similarity(digit, one.image) for digit, one in zip(chosen, prepared, strict=True)]
    least = LIKE.get(name, 0.9)
    assert np.median(similar) > least, np.round(sorted(similar), 2)
    assert np.mean([one > least - 0.25 for one in similar]) >= 0.9, np.round(sorted(similar), 2)
    assert sum(bool(one.rejected) for one in prepared) <= 1


def _bar(height: int, width: int, side: int, *, top: int, left: int) -> np.ndarray:
    image = np.zeros((side, side))
    image[top : top + height, left : left + width] = 255
    return image


def test_a_bar_fills_the_box_and_has_its_mass_in_the_middle() -> None:
    prepared = mnist(picture(_bar(80, 16, 200, top=10, left=150)))
    image = prepared.image
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert (rows[0], rows[-1]) == (4, 23)  # twenty rows, and the centre of mass in pixel 14
    assert (columns[0], columns[-1]) == (12, 15)
    assert image.max() == 255
    assert prepared.done["scale"] == 0.25
    assert prepared.done["polarity"] == "light on dark"
    assert prepared.done["stroke"] == pytest.approx(16 / 4, rel=0.1)
    assert prepared.done["size"] == 0.4
    assert prepared.done["slant"] == pytest.approx(0, abs=0.1)
    assert prepared.done["offset"] == pytest.approx(np.hypot(50 - 100, 158 - 100) / 200, abs=0.002)


def test_the_slant_is_that_of_a_sheared_bar() -> None:
    image = np.zeros((100, 100))
    for row in range(20, 80):  # 1 to the right for 3 up
        start = round(40 + (79 - row) / 3)
        image[row, start : start + 8] = 255
    assert mnist(picture(image)).done["slant"] == pytest.approx(np.degrees(np.arctan(1 / 3)), abs=0.8)
    assert mnist(picture(image[:, ::-1])).done["slant"] == pytest.approx(-np.degrees(np.arctan(1 / 3)), abs=0.8)


def test_the_width_of_a_stroke_is_measured() -> None:
    for width in (3, 6, 11):
        assert preparation.stroke_width(_bar(90, width, 120, top=10, left=30) / 255) == pytest.approx(width, rel=0.12)


def test_a_hairline_is_thickened_and_a_stroke_is_not() -> None:
    hair = mnist(picture(255 - _bar(180, 2, 200, top=10, left=90)))
    assert hair.image.max() == 255
    assert hair.done["thickened"] == pytest.approx(1.5 - 0.2, abs=0.15)
    assert (hair.image > 100).sum() >= 20
    assert mnist(picture(_bar(180, 30, 200, top=10, left=90))).done["thickened"] == 0


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((28, 28)), "no ink found"),
        (np.full((40, 30), 255), "no ink found"),
        (np.full((28, 28), 128) + np.random.default_rng(0).integers(-9, 10, (28, 28)), "no ink found"),
        (_bar(18, 4, 28, top=5, left=12) * (7 / 255), "no ink found: contrast 7"),
        (200 + 50 * np.indices((60, 60))[0] / 60, "no ink found"),
    ],
)
def test_a_picture_without_ink_is_rejected(image: np.ndarray, reason: str) -> None:
    prepared = mnist(picture(image))
    assert reason in prepared.rejected
    assert not prepared.image.any()


@pytest.mark.parametrize(
    ("image", "rejected"),
    [
        (np.full((28, 28), 69), "brightest pixel 69, below 70"),
        (_bar(9, 1, 28, top=3, left=3), "9 pixels above 60, fewer than 10"),
        (_bar(10, 1, 28, top=3, left=3), ""),
        (np.where(_bar(10, 1, 28, top=3, left=3) > 0, 109, 80), "contrast 29, below 30"),
        (np.where(_bar(10, 1, 28, top=3, left=3) > 0, 110, 80), ""),
    ],
)
def test_the_filters_of_the_study(image: np.ndarray, rejected: str) -> None:
    prepared = study(picture(image))
    assert prepared.rejected == rejected
    np.testing.assert_array_equal(prepared.image, image.astype(np.uint8))


def test_a_tilted_plane_is_the_background_whatever_is_drawn_on_it() -> None:
    y, x = np.mgrid[-1:1:80j, -1:1:80j]
    plane = 150 + 30 * x - 20 * y + 10 * x * y
    drawn = plane.copy()
    drawn[20:60, 30:45] = 20
    assert np.abs(paper.background_of(drawn) - plane).max() < 2


def test_yellow_on_white_has_more_contrast_than_its_luminance_says() -> None:
    white, yellow = np.array([255, 255, 255]), np.array([250, 245, 120])
    bar = _bar(40, 10, 60, top=10, left=25)[..., None] / 255
    colour = np.round(white + (yellow - white) * bar).astype(np.uint8)
    sheet = Picture(colour, np.full((60, 60), 255, np.uint8), np.zeros((28, 28), np.uint8), "PNG", "RGB", (60, 60))
    found = ink.find_ink(sheet)
    assert not isinstance(found, str)
    assert found.contrast == pytest.approx(np.linalg.norm(white - yellow), rel=0.02)


@pytest.mark.parametrize("name", PREPARATIONS)
def test_every_preparation_gives_28_by_28_grey_levels_of_any_picture(name: str) -> None:
    rng = np.random.default_rng(3)
    for shape in ((4, 4), (5, 200), (200, 6), (28, 28), (61, 33)):
        for levels in (rng.integers(0, 256, shape), np.zeros(shape), np.eye(*shape) * 255):
            before = picture(levels)
            prepared = PREPARATIONS[name](before)
            assert prepared.image.shape == (28, 28)
            assert prepared.image.dtype == np.uint8
            again = PREPARATIONS[name](before)
            np.testing.assert_array_equal(prepared.image, again.image)
            assert prepared.done == again.done


def test_the_median_of_nine_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    for shape in ((28, 28), (61, 97)):
        plane = rng.normal(size=shape).round(1)
        np.testing.assert_array_equal(paper.median_of_nine(plane), ndimage.median_filter(plane, size=3))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (12, 5), (40, 41), (200, 131)])
def test_the_low_level_of_rows_and_columns_is_numpys_percentile(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).normal(100, 30, shape)
    for axis in (0, 1):
        expected = np.percentile(plane, 10, axis=axis, keepdims=True)
        assert np.array_equal(paper.low_levels(plane, axis), expected)


def test_a_mask_is_wide_where_a_pixel_is_further_from_the_rest_than_the_reach() -> None:
    middle, corner = np.ones((2, 60, 50), bool)
    middle[[0, -1]] = middle[:, [0, -1]] = False  # the furthest pixel is inside, no corner belongs to the mask
    corner[20:, 10:] = False
    for mask in (middle, corner):
        furthest = float(ndimage.distance_transform_edt(mask).max())
        assert ink._is_wide(mask, furthest - 0.01)
        assert not ink._is_wide(mask, furthest)


@pytest.mark.parametrize("margin", [0, 1, 7])
def test_the_depth_of_a_part_is_its_distance_in_the_whole_picture(margin: int) -> None:
    rng = np.random.default_rng(margin)
    shown = ndimage.gaussian_filter(rng.normal(size=(50, 40)), 3) > 0.05
    shown[:, -9:] = True  # a bar that is deepest at the edge of the box about all parts
    shown = np.pad(shown, margin)
    found = parts.Parts.of(shown.astype(float))
    distance = ndimage.distance_transform_edt(shown)
    expected = [distance[found.labels == number].max() for number in range(1, len(found) + 1)]
    np.testing.assert_array_equal(found.depth, expected)


def test_grey_levels_of_colours_are_their_mean_where_they_hardly_differ() -> None:
    rng = np.random.default_rng(1)
    grey = rng.integers(6, 249, (30, 20, 1))
    colour = (grey + rng.integers(-6, 7, (30, 20, 3))).astype(np.uint8)
    shown = Picture(colour, np.full((30, 20), 255, np.uint8), np.zeros((28, 28), np.uint8), "PNG", "RGB", (20, 30))
    assert np.array_equal(paper.grey_of(shown), colour.astype(float).mean(axis=2))

"""What lies beside a digit, or about it: margins, lines of the paper, boxes, bars of tools, fingers, other digits."""

import io
from pathlib import Path

import forty_pictures
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from shearbench.data.config import BundledMnist
from shearbench.data.handwritten import read_file
from shearbench.data.mnist import collect
from shearbench.handwriting.parts import BODY, Parts
from shearbench.handwriting.preparation import Prepared, mnist
from shearbench.handwriting.reader_training import STYLES, styled

SIZE = 200


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Two of each class: images and labels."""
    images, labels, *_ = collect(BundledMnist(kind="bundled"), Path())["test"]
    rows = np.concatenate([np.flatnonzero(labels == digit)[:2] for digit in range(10)])
    return images[rows], labels[rows]


def ink(digit: np.ndarray, margin: int) -> np.ndarray:
    """Sharp ink 0 to 1 of a digit about 140 pixels high, with so many pixels of paper on each side."""
    large = np.asarray(Image.fromarray(digit).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) / 255
    drawn = np.clip((large - 0.35) / 0.3, 0, 1)
    rows, columns = np.flatnonzero((drawn > 0.2).any(axis=1)), np.flatnonzero((drawn > 0.2).any(axis=0))
    return np.pad(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], margin)


def prepared(levels: np.ndarray, folder: Path) -> Prepared:
    """A picture of grey or RGB levels, saved and prepared."""
    Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).save(folder / "a.png")
    return mnist(read_file(folder / "a.png"))


def likeness(one: Prepared, other: Prepared) -> float:
    """Correlation of two images, the best over shifts of a pixel."""
    best = 0.0
    for shift in np.ndindex(3, 3):
        moved = np.roll(other.image, np.array(shift) - 1, axis=(0, 1))
        best = max(best, float(np.corrcoef(one.image.ravel(), moved.ravel())[0, 1]))
    return best


@pytest.mark.parametrize("paper", ["white", "black", "photographed"])
@pytest.mark.parametrize("margin", [0, 2, 6])
def test_a_digit_cut_to_its_ink_is_prepared_as_with_a_wide_margin(
    paper: str, margin: int, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    def levels(drawn: np.ndarray) -> np.ndarray:
        if paper == "photographed":
            y, x = np.mgrid[-1 : 1 : drawn.shape[0] * 1j, -1 : 1 : drawn.shape[1] * 1j]
            grain = np.random.default_rng(3).normal(0, 4, drawn.shape)
            return 170 + 20 * x - 15 * y + grain - 120 * ndimage.gaussian_filter(drawn, 1)
        return 255 * drawn if paper == "black" else 255 - 255 * drawn

    alike = [
        likeness(prepared(levels(ink(digit, margin)), tmp_path), prepared(levels(ink(digit, 40)), tmp_path))
        for digit in digits[0][1::2]
    ]
    assert np.median(alike) > 0.97
    assert sum(each < 0.8 for each in alike) <= (2 if paper == "photographed" else 0), np.round(alike, 2)


@pytest.mark.parametrize("pen", [27, 34])
def test_a_marker_that_fills_a_picture_cut_to_its_ink_is_not_the_paper(pen: int, tmp_path: Path) -> None:
    for digit in "023456789":  # a 1 cut to its ink is a black rectangle
        drawn = forty_pictures.ink(digit, pen=pen)
        rows, columns = np.flatnonzero((drawn > 0.2).any(axis=1)), np.flatnonzero((drawn > 0.2).any(axis=0))
        cut = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        close, wide = (prepared(250 - 220 * np.pad(cut, margin), tmp_path) for margin in (0, 40))
        assert likeness(close, wide) > 0.95, digit


@pytest.mark.parametrize("rise", [-6, 0, 5])
def test_the_foot_of_a_two_from_side_to_side_is_no_ruled_line(rise: int, tmp_path: Path) -> None:
    image = Image.new("L", (300, 340))
    two = [(17, 28), (22, 5), (48, 5), (69, 11), (71, 35), (60, 63), (5, 127), (73, 127 - rise)]
    ImageDraw.Draw(image).line([(2 * x + 40, 2 * y + 40) for x, y in two], fill=255, width=15, joint="curve")
    drawn = np.asarray(image.resize((150, 170), Image.Resampling.BOX)) / 255
    rows, columns = np.flatnonzero((drawn > 0.2).any(axis=1)), np.flatnonzero((drawn > 0.2).any(axis=0))
    cut = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    close, wide = (prepared(255 - 225 * np.pad(cut, margin), tmp_path) for margin in (0, 40))
    assert likeness(close, wide) > 0.97


def _lines(levels: np.ndarray, pen: tuple[int, ...] | int, spacing: int, width: int, axes: str) -> np.ndarray:
    image = Image.fromarray(levels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for place in range(spacing // 2, max(levels.shape[:2]), spacing):
        if "h" in axes:
            draw.line([(0, place), (levels.shape[1], place + 3)], fill=pen, width=width)
        if "v" in axes:
            draw.line([(place, 0), (place - 2, levels.shape[0])], fill=pen, width=width)
    return np.asarray(image)


BESIDE = ("squared paper", "ruled paper", "margin line", "box", "circle", "bar of tools", "finger", "table")


def _with(name: str, drawn: np.ndarray) -> np.ndarray:
    """White paper with black ink and something beside it."""
    levels = 255 - 235 * drawn
    height, width = levels.shape
    if name == "squared paper":
        return _lines(levels, 120, 30, 2, "hv")
    if name == "ruled paper":
        return _lines(levels, 90, 40, 2, "h")
    if name == "table":  # above and below the sheet
        return np.pad(235 - 200 * drawn, ((width // 5, width // 5), (0, 0)), constant_values=110)
    image = Image.fromarray(levels.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    if name == "margin line":
        draw.line([(14, 0), (16, height)], fill=60, width=2)
    elif name == "box":
        draw.rectangle([12, 12, width - 13, height - 13], outline=20, width=4)
    elif name == "circle":
        draw.ellipse([4, 4, width - 5, height - 5], outline=20, width=4)
    elif name == "bar of tools":
        draw.rectangle([0, 0, width, 24], fill=215)
        for left in range(10, width - 20, 30):
            draw.rectangle([left, 6, left + 14, 18], fill=110)
    elif name == "finger":
        draw.ellipse([width - 45, height - 60, width + 60, height + 80], fill=110)
    return np.asarray(image)


@pytest.mark.parametrize("name", BESIDE)
def test_what_lies_beside_a_digit_is_left_out(name: str, digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    alike = []
    for digit in digits[0][::2]:
        drawn = ink(digit, 60)
        clean, made = prepared(255 - 235 * drawn, tmp_path), prepared(_with(name, drawn), tmp_path)
        alike.append(likeness(made, clean) if not made.rejected else 0.0)
    least, bad = (0.85, 2) if name in ("squared paper", "ruled paper") else (0.97, 1)
    assert np.median(alike) > least, np.round(alike, 2)
    assert sum(each < 0.7 for each in alike) <= bad, np.round(alike, 2)


def test_two_digits_beside_or_above_one_another_are_told(digits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    seen = 0
    for first, second in zip(digits[0][:10], digits[0][10:], strict=True):
        one, other = ink(first, 25), ink(second, 25)
        height = max(len(one), len(other))
        beside = np.concatenate([np.pad(each, ((0, height - len(each)), (0, 0))) for each in (one, other)], axis=1)
        made = prepared(255 - 255 * beside, tmp_path)
        seen += "2 digits" in made.doubt
        assert not prepared(255 - 255 * one, tmp_path).doubt
    assert seen >= 9


def test_a_five_whose_bar_stands_apart_is_one_digit(tmp_path: Path) -> None:
    image = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(image)
    draw.line([(75, 40), (140, 40)], fill=0, width=10)
    draw.line([(70, 60), (70, 95), (110, 90), (130, 120), (105, 160), (65, 155)], fill=0, width=10)
    made = prepared(np.asarray(image), tmp_path)
    assert not made.doubt
    assert made.image.max() == 255


def test_a_slashed_zero_is_no_circle_about_a_line(tmp_path: Path) -> None:
    image = Image.new("L", (200, 200), 255)
    draw = ImageDraw.Draw(image)
    draw.ellipse([60, 30, 140, 170], outline=0, width=9)
    draw.line([(82, 130), (118, 70)], fill=0, width=8)  # touches the ring nowhere
    box = prepared(np.asarray(image), tmp_path).done["box"]
    left, top, right, bottom = map(int, str(box).split(","))
    assert bottom - top > 130
    assert right - left > 70


def test_a_pen_of_forty_percent_on_a_transparent_sheet_is_ink(tmp_path: Path) -> None:
    sheet = Image.new("RGBA", (120, 120), (0, 0, 0, 0))
    ImageDraw.Draw(sheet).line([(60, 20), (60, 100)], fill=(0, 0, 0, 102), width=9)
    sheet.save(tmp_path / "a.png")
    assert not mnist(read_file(tmp_path / "a.png")).rejected


def test_ten_bits_in_a_picture_of_sixteen_are_ink(tmp_path: Path) -> None:
    levels = np.full((60, 60), 1000, np.uint16)
    levels[10:50, 27:33] = 90
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue())
    assert not mnist(read_file(tmp_path / "a.png")).rejected


def test_strokes_that_mnist_lacks_are_drawn_where_they_belong(digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels, *_ = collect(BundledMnist(kind="bundled"), Path())["test"]
    made, names = styled(images, labels.astype(np.int64), np.random.default_rng(0))
    assert {*names.tolist()} == {*STYLES}
    for label, (_, share) in STYLES.items():
        assert (names == label).sum() == int(share * (labels == label).sum())
    originals = {image.tobytes() for image in images}
    assert not originals & {image.tobytes() for image in made}
    assert made.mean() > images[np.isin(labels, [*STYLES])].mean()  # ink is added, never taken


def test_peak_and_depth_of_a_part_are_those_that_scipy_finds() -> None:
    values = np.clip(ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(90, 120)), 2) * 8, 0, 1)
    parts = Parts.of(values)
    numbers = np.arange(1, len(parts) + 1)
    assert len(parts) > 20
    np.testing.assert_array_equal(parts.peak, ndimage.maximum(values, parts.labels, numbers))
    depth = ndimage.distance_transform_edt(values >= BODY)
    np.testing.assert_array_equal(parts.depth, ndimage.maximum(depth, parts.labels, numbers))

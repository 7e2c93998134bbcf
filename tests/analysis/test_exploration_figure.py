"""Figures of the data: the pixels of the arrays are in them, on the scales that they promise."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shearbench.analysis import exploration
from shearbench.plotting.files import picture
from shearbench.plotting.tiles import GREY, LENGTH, U_X, U_Y, Quantity

RNG = np.random.default_rng(0)
DIGITS = tuple(map(str, range(10)))


def test_a_signed_quantity_is_centred_on_zero_and_no_range_is_empty() -> None:
    def ends(quantity: Quantity, *values: float) -> tuple[float, float]:
        scale = quantity.scale(np.array(values))
        return scale["vmin"], scale["vmax"]

    assert ends(U_X, -1.0, 3.0) == (-3.0, 3.0)
    assert ends(LENGTH, 0.5, 3.0) == (0.0, 3.0)
    assert ends(U_Y, 0.0, 0.0) == (-1.0, 1.0)
    assert ends(U_X, 0.5, 3.0) == (0.0, 3.0)
    assert ends(U_X, -3.0, -0.5) == (-3.0, 0.0)
    above, below = U_X.scale(np.array([0, 3])), U_X.scale(np.array([-3, 0]))
    middle = above["cmap"](0), below["cmap"](255)
    np.testing.assert_allclose(middle[0], middle[1], atol=0.02)  # 0 has the colour of the middle in both halves


def test_the_sheet_holds_every_sample_at_its_place() -> None:
    samples = RNG.uniform(0, 255, (10, 8, 28, 28))
    samples[3, 5] = np.nan
    figure = exploration.sample_sheet(samples, quantity=GREY, classes=DIGITS, title="t")
    (picture,) = figure.axes[0].images
    shown = picture.get_array()
    assert shown is not None
    assert shown.shape == (10 * 31 - 3, 8 * 31 - 3)
    for label, column in np.ndindex(10, 8):
        tile = shown[label * 31 : label * 31 + 28, column * 31 : column * 31 + 28]
        np.testing.assert_array_equal(np.ma.filled(tile, np.nan), samples[label, column])
    assert figure.axes[0].get_yticks().tolist() == [13.5 + 31 * label for label in range(10)]


def test_displacement_has_a_scale_with_unit_for_each_row() -> None:
    fields = RNG.normal(size=(10, 2, 28, 28)).astype(np.float32)
    images = RNG.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    figure = exploration.displacement_figure(images, fields, labels=DIGITS, title="t")
    rows = [axis for axis in figure.axes if axis.images]
    x, y = np.abs(fields[:, 0]).max(), np.abs(fields[:, 1]).max()
    limits = [axis.images[0].get_clim() for axis in rows]
    assert limits[1:3] == [(-x, x), (-y, y)]
    assert limits[3][0] == 0
    bars = [axis.get_ylabel() for axis in figure.axes if axis not in rows]
    assert bars == ["grey value", "$u_x$ / pixel", "$u_y$ / pixel", "$|u|$ / pixel"]


def test_mean_fields_leave_the_place_of_a_missing_class_empty() -> None:
    means = RNG.normal(size=(10, 28, 28))
    means[4] = np.nan
    figure = exploration.mean_fields({U_X: means, LENGTH: np.abs(means)}, counts=[3] * 10, classes=DIGITS, title="t")
    first, second = (axis for axis in figure.axes if axis.images)
    assert first.images[0].get_clim() == (-np.nanmax(np.abs(means)), np.nanmax(np.abs(means)))
    shown = np.ma.filled(second.images[0].get_array(), np.nan)
    assert np.isnan(shown[:, 4 * 31 : 4 * 31 + 28]).all()
    np.testing.assert_array_equal(shown[:, 5 * 31 : 5 * 31 + 28], np.abs(means[5]))


def test_alike_pairs_stand_below_one_another() -> None:
    first, second = RNG.integers(0, 256, (2, 3, 28, 28), dtype=np.uint8)
    axis = exploration.pairs_figure(first, second, notes=["a", "b", "c"], title="t").axes[0]
    shown = axis.images[0].get_array()
    assert shown is not None
    np.testing.assert_array_equal(shown[:28, 31:59], first[1])
    np.testing.assert_array_equal(shown[31:59, 31:59], second[1])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["a", "b", "c"]


def test_class_balance_writes_every_count() -> None:
    counts = np.arange(30).reshape(3, 10)
    axis = exploration.class_balance(counts, classes=DIGITS, title="t").axes[0]
    assert [text.get_text() for text in axis.texts] == [str(n) for n in range(30)]
    assert [label.get_text() for label in axis.get_xticklabels()] == list(DIGITS)


def test_saved_files_are_the_same_and_hold_no_version(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(exploration.class_balance(np.ones((3, 10), np.int64), classes=DIGITS, title="t"))(tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert b"atplotlib" not in content
    with Image.open(io.BytesIO(content)) as image:
        assert image.info["dpi"][0] == pytest.approx(150, abs=0.1)

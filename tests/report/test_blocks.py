"""Pictures of the page: smaller than the files, and nowhere far from them."""

import base64
import io
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image

from shearbench.plotting.canvas import figure, png
from shearbench.report.blocks import Data, Picture


def pixels(content: bytes) -> NDArray[np.int64]:
    """Return red, green, blue and opacity, (height, width, 4)."""
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGBA"), np.int64)


def on_white(rgba: NDArray[np.int64]) -> NDArray[np.float64]:
    opacity = rgba[..., 3:] / 255
    return rgba[..., :3] * opacity + 255 * (1 - opacity)


def shades(axes: Axes) -> None:
    red, green = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    axes.imshow(np.dstack([red, green, 255 - red]))


def lines(axes: Axes) -> None:
    axes.plot([0, 1, 2], [0, 3, 1], label="a line")
    axes.legend()


@pytest.mark.parametrize(("draw", "lossless"), [(shades, False), (lines, True)])
def test_a_picture_in_the_page_is_lighter_and_looks_the_same(
    tmp_path: Path, draw: Callable[[Axes], None], lossless: bool
) -> None:
    drawn = figure(4, 3)
    draw(drawn.subplots())
    path = tmp_path / "picture.png"
    path.write_bytes(png(drawn))
    head, content = Picture.of(path, "noise").source.split(",", 1)
    assert head == "data:image/webp;base64"
    assert (b"VP8L" in base64.b64decode(content)[:40]) == lossless
    before, after = pixels(path.read_bytes()), pixels(base64.b64decode(content))
    assert len(base64.b64decode(content)) < len(path.read_bytes())
    assert np.abs(on_white(after) - on_white(before)).mean() < 1.5
    assert (after[..., 3][before[..., 3] == 0] == 0).all(), "the background stays transparent"
    assert (before[0, 0, 3], before[..., 3].max()) == (0, 255)


def test_a_figure_has_its_size_and_the_same_bytes_each_time() -> None:
    def drawn() -> bytes:
        made = figure(2, 1)
        made.subplots().plot([0, 1], [0, 1])
        return png(made)

    assert drawn() == drawn()
    assert pixels(drawn()).shape == (150, 300, 4)
    with Image.open(io.BytesIO(drawn())) as image:
        assert set(image.info) == {"dpi"}, "nothing of the software that made it"


def test_a_table_comes_out_of_its_address_as_it_went_in(tmp_path: Path) -> None:
    numbers, words = tmp_path / "numbers.csv", tmp_path / "words.csv"
    numbers.write_text("x,y\n" + "\n".join(f"{n},{n / 7:.9f}" for n in range(200)) + "\n")
    words.write_text('name\n"<é> \'100 %\' & ""#?"""\n' * 20)
    for path in (numbers, words):
        source = Data.of(path).source
        with urllib.request.urlopen(source) as opened:
            assert opened.read() == path.read_bytes()
        assert not set("<>\"' \n") & set(source)
    assert len(Data.of(numbers).source) < 1.2 * numbers.stat().st_size

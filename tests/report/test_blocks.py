"""Pictures of the page: smaller than the files, and nowhere far from them."""

import base64
import io
import urllib.request
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.plotting.canvas import figure, png
from shearbench.report.blocks import Data, Picture


def pixels(content: bytes) -> NDArray[np.int64]:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"), np.int64)


def test_a_picture_has_fewer_colours_no_visible_difference_and_white_where_it_was_white(tmp_path: Path) -> None:
    drawn = figure(4, 3)
    axes = drawn.subplots()
    shown = axes.imshow(np.random.default_rng(0).normal(size=(40, 40)), cmap="viridis", interpolation="bilinear")
    drawn.colorbar(shown, label="a label")
    path = tmp_path / "picture.png"
    path.write_bytes(png(drawn))
    content = base64.b64decode(Picture.of(path, "noise").source.removeprefix("data:image/png;base64,"))
    before, after = pixels(path.read_bytes()), pixels(content)
    assert len(content) < len(path.read_bytes())
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 256 >= len(np.unique(after.reshape(-1, 3), axis=0))
    assert np.abs(after - before).mean() < 1.5
    assert (after[(before == 255).all(axis=2)] == 255).all()


def test_a_figure_has_its_size_and_the_same_bytes_each_time() -> None:
    def drawn() -> bytes:
        made = figure(2, 1)
        made.subplots().plot([0, 1], [0, 1])
        return png(made)

    assert drawn() == drawn()
    assert pixels(drawn()).shape == (150, 300, 3)
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

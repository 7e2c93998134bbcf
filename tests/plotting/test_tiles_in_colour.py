"""Sheets of coloured tiles: where a tile stands, how a value is coloured, and what a map does to its digit."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from shearbench.analysis.gradcam.figure import notes_of, overlaid
from shearbench.plotting.canvas import ORANGE, figure
from shearbench.plotting.tiles import coloured, draw_coloured, enlarged


def test_values_are_coloured_on_their_scale_and_what_is_missing_stays_missing() -> None:
    shades = coloured(np.array([-2.0, 0.0, 5.0, np.nan]), "RdBu_r", -2, 2)
    expected = [colormaps["RdBu_r"](place)[:3] for place in (0.0, 0.5, 1.0)]
    np.testing.assert_allclose(shades, [*expected, [np.nan] * 3])


def test_a_coarse_map_becomes_blocks() -> None:
    large = enlarged(np.arange(4.0).reshape(1, 2, 2))[0]
    assert large.shape == (28, 28)
    assert [large[0, 0], large[13, 14], large[14, 13], large[27, 27]] == [0, 1, 2, 3]
    assert all((large == value).sum() == 14 * 14 for value in range(4))


def test_tiles_stand_where_their_names_and_notes_are() -> None:
    axes = figure(3, 3).subplots()
    tiles = np.zeros((2, 3, 28, 28, 3))
    tiles[1, 2] = 0.5
    draw_coloured(axes, tiles, ["above", "below"], [["", "", ""], ["", "", "here"]])
    picture = axes.get_images()[0].get_array()
    assert picture is not None
    (note,) = axes.texts
    x, y = (int(place) for place in note.get_position())
    assert (note.get_text(), picture[y, x, 3]) == ("here", 0)  # in the gap, which is transparent
    assert picture[y + 4, x].tolist() == [0.5, 0.5, 0.5, 1]  # above its tile
    below = int(axes.get_yticks()[1])
    assert picture[below, x].tolist() == [0.5, 0.5, 0.5, 1]


def test_a_map_is_laid_over_the_size_of_its_digit() -> None:
    inputs = np.zeros((2, 2, 28, 28), np.float32)
    inputs[0, :, 3, 3] = 3.0, 4.0  # size 5, the largest: black
    maps = np.zeros((2, 28, 28), np.float32)
    maps[0, 9, 9] = 1.0
    drawn = overlaid(inputs, maps)
    np.testing.assert_allclose(drawn[0, 3, 3], 0, atol=0.01)
    np.testing.assert_allclose(drawn[1, 3, 3], 1, atol=0.01)
    np.testing.assert_allclose(drawn[0, 9, 9], 0.2 + 0.8 * np.array(to_rgb(ORANGE)), atol=0.01)
    notes = notes_of(maps, np.array([4, 1]), np.array([4, 7]), tuple("0123456789"), first=True)
    assert notes == ["4", "7, predicted 1, no map"]

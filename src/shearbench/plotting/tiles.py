"""Draw many pictures of one size as one image, on one colour scale: fast, and comparable by eye."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from shearbench.plotting.canvas import bare, figure

SMALL = 8
_ONE_SIDED = 0.02  # values of the other sign up to this share of the largest value are ignored
_SIDE, _GAP, _LINE = 28, 3, 8  # in units of the axes: side of a tile, gap, gap for a line of text


@dataclass(frozen=True)
class Quantity:
    """The quantity of an image's pixels: name with unit, and whether 0 is the middle of the range."""

    label: str
    colours: str
    signed: bool = False

    def scale(self, values: NDArray[Any]) -> dict[str, Any]:
        """Return colormap and limits of the colour scale for ``values``; its range is never empty.

        If all values of a signed quantity have one sign, the scale is one half of the colormap.
        """
        largest = float(np.abs(values).max()) or 1.0
        if not self.signed:
            return {"cmap": self.colours, "vmin": 0.0, "vmax": largest}
        if values.min() >= -_ONE_SIDED * largest and values.max() > 0:
            return {"cmap": _half(self.colours, 0.5, 1.0), "vmin": 0.0, "vmax": largest}
        if values.max() <= _ONE_SIDED * largest and values.min() < 0:
            return {"cmap": _half(self.colours, 0.0, 0.5), "vmin": -largest, "vmax": 0.0}
        return {"cmap": self.colours, "vmin": -largest, "vmax": largest}


def _half(colours: str, start: float, end: float) -> Colormap:
    return ListedColormap(colormaps[colours](np.linspace(start, end, 256)))


GREY = Quantity("grey value", "gray")
U_X = Quantity(r"$u_x$ / pixel", "RdBu_r", signed=True)
U_Y = Quantity(r"$u_y$ / pixel", "RdBu_r", signed=True)
LENGTH = Quantity(r"$|u|$ / pixel", "viridis")
GRADIENT = Quantity(r"$\|\nabla u\|$", "magma")
DISTURBANCE_X = Quantity(r"$u_x - u_x^0$ / pixel", "RdBu_r", signed=True)
DISTURBANCE_Y = Quantity(r"$u_y - u_y^0$ / pixel", "RdBu_r", signed=True)


def draw_tiles(axis: Axes, tiles: NDArray[Any], quantity: Quantity) -> None:
    """Draw tiles (rows, columns, h, w) with a colour bar, or (..., 3) in colour without one; gaps are transparent."""
    if tiles.ndim == 5:
        _draw(axis, tiles / (255.0 if np.nan_to_num(tiles).max() > 1 else 1.0), _GAP)
        return
    shown = _draw(axis, tiles, _GAP, **quantity.scale(np.nan_to_num(tiles)))
    bar = axis.figure.colorbar(shown, ax=axis, fraction=0.05, pad=0.02)
    bar.set_label(quantity.label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def sheet(rows: int, columns: int, *, beside: float, above: float, blocks: int = 1) -> Figure:
    """Return a figure for :func:`draw_coloured`: 1.1 inches per tile, ``beside`` and ``above`` inches for text."""
    return figure(blocks * (1.1 * columns + beside), 1.1 * rows + above)


def draw_coloured(axis: Axes, tiles: NDArray[Any], names: Sequence[str], notes: Sequence[Sequence[str]]) -> None:
    """Draw tiles (rows, columns, h, w, 3) as one picture, with a name beside each row and a note above each tile.

    Notes are (rows, at most columns); an empty one is not drawn. Gaps and missing values (NaN) are transparent.
    """
    _draw(axis, tiles, _LINE)
    axis.set_yticks(centres(len(tiles), _LINE), names)
    for top, row in zip(_tops(len(tiles), _LINE), notes, strict=True):
        for x, note in zip(centres(len(row), _LINE), row, strict=True):
            if note:
                axis.text(x, top - 1.5, note, ha="center", va="bottom", fontsize=SMALL - 1)


def coloured(values: NDArray[Any], colours: str, low: float, high: float) -> NDArray[np.float64]:
    """Return values (...) as colours (..., 3), 0 to 1; missing values stay NaN."""
    shades: NDArray[np.float64] = colormaps[colours](np.clip((values - low) / (high - low), 0, 1))[..., :3]
    return np.where(np.isnan(values)[..., np.newaxis], np.nan, shades)


def enlarged(values: NDArray[Any]) -> NDArray[Any]:
    """Return pictures (..., h, w) as (..., 28, 28), each pixel a block."""
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in values.shape[-2:])
    return values[..., rows[:, np.newaxis], columns]


def visible(images: NDArray[Any]) -> NDArray[Any]:
    """Return images (n, h, w) or (n, channels, h, w) for drawing: (n, h, w) in grey or (n, h, w, 3) in colour."""
    if images.ndim == 3:
        return images
    return images[:, :3].transpose(0, 2, 3, 1) if images.shape[1] >= 3 else images[:, 0]


def draw_strip(
    axis: Axes, pictures: NDArray[Any], quantity: Quantity, columns: int, notes: Sequence[str] | None = None
) -> None:
    """Draw pictures (n, h, w), or (n, h, w, 3) in colour, as a row of ``columns`` tiles, with a note above each."""
    row = np.full((1, columns, *pictures.shape[1:]), np.nan, np.float32)
    row[0, : len(pictures)] = pictures
    draw_tiles(axis, row, quantity)
    bare(axis)
    if notes is not None:
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.set_xticks(centres(columns)[: len(notes)], notes, fontsize=SMALL)


def centres(tiles: int, gap: int = _GAP) -> list[float]:
    """Return the centres of a row of tiles in units of the axes, for pictures of any size."""
    return [top + (_SIDE - 1) / 2 for top in _tops(tiles, gap)]


def _tops(tiles: int, gap: int) -> list[int]:
    return [tile * (_SIDE + gap) for tile in range(tiles)]


def _draw(axis: Axes, tiles: NDArray[Any], gap: int, **scale: Any) -> AxesImage:
    """Draw tiles in bare axes so that each is ``_SIDE`` units high and wide, for pictures of any size."""
    picture = _joined(tiles, gap)
    if picture.ndim == 3:
        opacity = np.isfinite(picture).all(axis=2, keepdims=True)
        picture = np.concatenate([np.clip(np.nan_to_num(picture), 0, 1), opacity], axis=2)
    height, width = (count * (_SIDE + gap) - gap for count in tiles.shape[:2])
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=SMALL)
    axis.set_xticks([])
    return axis.imshow(picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest", **scale)


def _joined(tiles: NDArray[Any], gap: int) -> NDArray[np.float64]:
    """Return tiles (rows, columns, h, w, ...) as one picture (height, width, ...); gaps and margins are NaN.

    A tile becomes a square of at least ``_SIDE`` pixels.
    """
    times = max(1, _SIDE // max(tiles.shape[2:4]))
    tiles = tiles.repeat(times, axis=2).repeat(times, axis=3)
    rows, columns, height, width, *rest = tiles.shape
    side = max(_SIDE, height, width)
    gap = round(gap * side / _SIDE)
    joined = np.full((rows, side + gap, columns, side + gap, *rest), np.nan)
    top, left = (side - height) // 2, (side - width) // 2
    joined[:, top : top + height, :, left : left + width] = tiles.swapaxes(1, 2)
    return joined.reshape(rows * (side + gap), columns * (side + gap), *rest)[:-gap, :-gap]

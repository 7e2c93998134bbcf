"""Many 28 x 28 pictures drawn as one, on one colour scale: quick, and comparable by eye."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import figure

SMALL = 8
_SIDE, _GAP, _LINE = 28, 3, 8  # pixels; the last is a gap that a line of text fits into


@dataclass(frozen=True)
class Quantity:
    """What the pixels of an image are: its name with unit, and whether 0 lies in the middle of its range."""

    label: str
    colours: str
    signed: bool = False

    def limits(self, values: NDArray[Any]) -> tuple[float, float]:
        """Return the ends of a colour scale for ``values``; never an empty range."""
        largest = float(np.abs(values).max()) or 1.0
        return (-largest if self.signed else 0.0), largest


GREY = Quantity("grey value", "gray")
U_X = Quantity(r"$u_x$ / pixel", "RdBu_r", signed=True)
U_Y = Quantity(r"$u_y$ / pixel", "RdBu_r", signed=True)
LENGTH = Quantity(r"$|u|$ / pixel", "viridis")
GRADIENT = Quantity(r"$\|\nabla u\|$", "magma")
DISTURBANCE_X = Quantity(r"$u_x - u_x^0$ / pixel", "RdBu_r", signed=True)
DISTURBANCE_Y = Quantity(r"$u_y - u_y^0$ / pixel", "RdBu_r", signed=True)


def draw_tiles(axis: Axes, tiles: NDArray[Any], quantity: Quantity) -> None:
    """Draw (rows, columns, 28, 28) as one picture with white gaps, and its colour scale beside it."""
    low, high = quantity.limits(np.nan_to_num(tiles))
    shown = axis.imshow(_joined(tiles), cmap=quantity.colours, vmin=low, vmax=high, interpolation="nearest")
    _bare(axis)
    bar = axis.figure.colorbar(shown, ax=axis, fraction=0.05, pad=0.02)
    bar.set_label(quantity.label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def sheet(rows: int, columns: int, *, beside: float, above: float, blocks: int = 1) -> Figure:
    """Return a figure for :func:`draw_coloured`: tiles of an inch, ``beside`` and ``above`` inches for text."""
    return figure(blocks * (1.1 * columns + beside), 1.1 * rows + above)


def draw_coloured(axis: Axes, tiles: NDArray[Any], names: Sequence[str], notes: Sequence[Sequence[str]]) -> None:
    """Draw (rows, columns, 28, 28, 3) as one picture, what each row is beside it, and a note above each tile.

    Notes are (rows, columns); an empty one is not drawn.
    """
    axis.imshow(np.clip(np.nan_to_num(_joined(tiles, _LINE), nan=1.0), 0, 1), interpolation="nearest")
    _bare(axis)
    axis.set_yticks(centres(len(tiles), _LINE), names)
    for top, row in zip(_tops(len(tiles), _LINE), notes, strict=True):
        for x, note in zip(centres(len(row), _LINE), row, strict=True):
            if note:
                axis.text(x, top - 1.5, note, ha="center", va="bottom", fontsize=SMALL - 1)


def coloured(values: NDArray[Any], colours: str, low: float, high: float) -> NDArray[np.float64]:
    """Return values (...) as colours (..., 3), 0 to 1; what is not there (NaN) is white."""
    shades: NDArray[np.float64] = colormaps[colours](np.clip((values - low) / (high - low), 0, 1))[..., :3]
    return np.where(np.isnan(values)[..., np.newaxis], 1.0, shades)


def enlarged(values: NDArray[Any]) -> NDArray[Any]:
    """Return pictures (..., h, w) as (..., 28, 28), each pixel a block."""
    rows, columns = (np.arange(_SIDE) * size // _SIDE for size in values.shape[-2:])
    return values[..., rows[:, np.newaxis], columns]


def centres(tiles: int, gap: int = _GAP) -> list[float]:
    """Return where the centres of a row of tiles fall, in pixels of the picture."""
    return [top + (_SIDE - 1) / 2 for top in _tops(tiles, gap)]


def _tops(tiles: int, gap: int) -> list[int]:
    return [tile * (_SIDE + gap) for tile in range(tiles)]


def _joined(tiles: NDArray[Any], gap: int = _GAP) -> NDArray[np.float64]:
    """Return (rows, columns, h, w, ...) as one picture with gaps of NaN, (height, width, ...)."""
    rows, columns, height, width, *rest = tiles.shape
    padding = ((0, 0), (0, 0), (0, gap), (0, gap), *((0, 0) for _ in rest))
    padded = np.pad(tiles.astype(np.float64), padding, constant_values=np.nan)
    joined = padded.swapaxes(1, 2).reshape(rows * (height + gap), columns * (width + gap), *rest)
    return joined[:-gap, :-gap]


def _bare(axis: Axes) -> None:
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=SMALL)
    axis.set_xticks([])

"""Many 28 x 28 pictures drawn as one, on one colour scale: quick, and comparable by eye."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

SMALL = 8
_SIDE, _GAP = 28, 3


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
    padding = ((0, 0), (0, 0), (0, _GAP), (0, _GAP))
    rows, columns, height, width = (
        length + extra for length, extra in zip(tiles.shape, (0, 0, _GAP, _GAP), strict=True)
    )
    padded = np.pad(tiles.astype(np.float64), padding, constant_values=np.nan)
    picture = padded.swapaxes(1, 2).reshape(rows * height, columns * width)[:-_GAP, :-_GAP]
    shown = axis.imshow(picture, cmap=quantity.colours, vmin=low, vmax=high, interpolation="nearest")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0, labelsize=SMALL)
    axis.set_xticks([])
    bar = axis.figure.colorbar(shown, ax=axis, fraction=0.05, pad=0.02)
    bar.set_label(quantity.label, fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)


def centres(tiles: int) -> list[float]:
    """Return where the centres of a row of tiles fall, in pixels of the picture."""
    return [tile * (_SIDE + _GAP) + (_SIDE - 1) / 2 for tile in range(tiles)]

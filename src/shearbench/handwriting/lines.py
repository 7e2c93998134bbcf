"""Straight lines that belong to the paper: squared paper, ruled paper and margin lines, tilted by up to 3.5 degrees.

A line spans the picture. It is removed only where no stroke crosses it: at a crossing, the run of ink across the line
is longer than the line is thick, and stays (staff-line removal in music recognition).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

_SLOPES = np.linspace(-0.06, 0.06, 13)  # rise over run; about 3.5 degrees either way
_COVERED = 0.8  # least share of a line's length with ink
_THIN = 0.05  # of the side; thicker lines do not belong to the paper
_END = 0.03  # of the side: largest gap between a line and the sides of the picture
_CROSSED = 1.6  # a run longer than this many thicknesses belongs to a stroke
_GRID = 3  # this many parallel lines belong to the paper at any thickness


@dataclass(frozen=True, eq=False)
class Line:
    """The pixels of a line outside crossings with strokes, and its thickness in pixels."""

    mask: Mask
    thickness: float


def lines_in(ink: Mask) -> list[list[Line]]:
    """Return the horizontal and the vertical lines in a mask of ink (h, w)."""
    across = [_line_at(ink, slope, row) for slope, row in _found(ink)]
    down = [_line_at(ink.T, slope, row) for slope, row in _found(ink.T)]
    turned = [Line(line.mask.T, line.thickness) for line in down if line is not None]
    return [[line for line in across if line is not None], turned]


def of_paper(lines: list[list[Line]], stroke: float) -> Mask | None:
    """Return the pixels of lines that belong to the paper; None without any.

    A single line may be the straight stroke of a digit that fills its picture, so it must be thinner than ``stroke``.
    """
    masks = [
        line.mask for parallel in lines for line in parallel if len(parallel) >= _GRID or line.thickness <= 0.6 * stroke
    ]
    return np.logical_or.reduce(masks) if masks else None


def _found(ink: Mask) -> list[tuple[float, int]]:
    """Return slope and first row of each horizontal line, the clearest first."""
    height, width = ink.shape
    if not (ink[:, : max(1, width // 20)].any() and ink[:, -max(1, width // 20) :].any()):
        return []
    rows, columns = np.nonzero(ink)
    profiles = np.zeros((len(_SLOPES), height))
    for number, slope in enumerate(_SLOPES):
        starts = np.round(rows - slope * columns).astype(np.int64)
        inside = (starts >= 0) & (starts < height)
        profiles[number] = np.bincount(starts[inside], minlength=height) / width
    found: list[tuple[float, int]] = []
    apart = max(2, round(_THIN * height))
    while profiles.max(initial=0) >= _COVERED:
        place, row = map(int, np.unravel_index(int(profiles.argmax()), profiles.shape))
        found.append((float(_SLOPES[place]), row))
        profiles[:, max(0, row - apart) : row + apart + 1] = 0
    return found


def _line_at(ink: Mask, slope: float, first: int) -> Line | None:
    """Return the line that starts in row ``first`` at the left; None if it is as thick as a stroke or incomplete."""
    height, width = ink.shape
    places = np.clip(np.round(first + slope * np.arange(width)).astype(np.int64), 0, height - 1)
    columns = np.arange(width)
    on = ink[places, columns]
    end = max(1, round(_END * width))
    if not (on[:end].any() and on[-end:].any()):
        return None
    up, down = np.zeros(width, np.int64), np.zeros(width, np.int64)
    for reach, sign in ((up, -1), (down, 1)):
        going = on.copy()
        step = 0
        while going.any() and step < height:
            step += 1
            there = places + sign * step
            going &= (there >= 0) & (there < height)
            going[going] &= ink[there[going], columns[going]]
            reach[going] = step
    runs = up + down + 1
    thickness = float(np.median(runs[on])) if on.any() else 0.0
    if not on.any() or thickness > max(2.0, _THIN * height):
        return None
    mask = np.zeros_like(ink)
    for column in np.flatnonzero(on & (runs <= _CROSSED * thickness + 1)):
        mask[places[column] - up[column] : places[column] + down[column] + 1, column] = True
    return Line(mask, thickness)

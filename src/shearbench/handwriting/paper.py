"""The paper of a picture: grey levels, the background as a smooth surface, grain, contrast, and printed lines.

Lines of squared or ruled paper span the picture, tilted by up to 3.5 degrees. A line is removed only where no stroke
crosses it: at a crossing, the run of ink across the line is longer than the line is thick (staff-line removal in music
recognition).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shearbench.data.handwritten import Picture

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]

GRAINS = 4.0  # ink differs from the background by this many standard deviations of the paper
EDGE = 0.07  # share of the side that the rim of a picture takes
_NEAR = 20.0  # grey levels within which pixels belong to the same paper
_FITTED = 6000  # evenly spread pixels for the fit of the background
_PAPER, _OF_NORMAL = 0.2, 0.2533  # least share of paper, and this quantile of |x| for a standard normal x
_SLOPES = np.linspace(-0.06, 0.06, 13)  # of lines, rise over run; about 3.5 degrees either way
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


def grey_of(picture: Picture) -> Plane:
    """Return one level per pixel, 0 to 255, along the colour direction in which the picture varies most.

    For a grey picture this is its grey level. Yellow on white has little contrast in luminance but much in this
    direction. A drawing on a transparent sheet is placed on a sheet of opposite brightness; cut-out parts of a picture
    are filled with its median colour.
    """
    colour: NDArray[np.uint8] | Plane = picture.colour
    if picture.opacity.min() < 255:
        opacity = picture.opacity.astype(np.float64)[..., None] / 255
        paint = picture.colour.astype(np.float64)
        colour = paint * opacity + _sheet(paint, opacity[..., 0]) * (1 - opacity)
    red, green, blue = np.moveaxis(colour, 2, 0)
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    if spread.max() <= 12:  # grey, up to JPEG noise
        return np.asarray((red.astype(np.float64) + green + blue) / 3)
    flat = colour.reshape(-1, 3).astype(np.float64)
    centred = flat - flat.mean(axis=0)
    # The first principal component of the colours is the direction with the most contrast.
    _, vectors = np.linalg.eigh(centred.T @ centred)
    direction = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
    levels = (centred @ direction).reshape(colour.shape[:2])
    return np.asarray(np.clip(levels + float(flat.mean()), -255, 510))


def _sheet(colour: Plane, opacity: Plane) -> Plane:
    """Return the colour (3,) behind the transparent parts of a picture."""
    opaque = colour[opacity > 0.5 * opacity.max(initial=0)]  # the pen may be only half opaque
    if not len(opaque):
        return np.zeros(3)
    if opaque.mean(axis=1).std() < 25 or len(opaque) < 0.5 * opacity.size:  # a drawing
        return np.full(3, 255.0 if np.median(opaque.mean(axis=1)) < 128 else 0.0)
    return np.asarray(np.median(opaque, axis=0))


def background_of(grey: Plane, *, start: float | None = None) -> Plane:
    """Return the level of the paper at each pixel: a quadratic surface through most of the picture.

    The fit starts from the level ``start``, by default one that many pixels have. Tukey's weights exclude pixels far
    from the surface: the ink.
    """
    step = max(1, grey.size // _FITTED)
    terms, fitted = _quadratic(*grey.shape, step)
    values = grey.ravel()[::step]
    surface = np.full(len(values), start_level(grey) if start is None else start)
    for round_ in range(12):
        residual = values - surface
        spread = max(float(np.quantile(np.abs(residual), _PAPER)) / _OF_NORMAL, 1.0)
        # The window is narrow at first, to exclude ink, and wider once the surface fits, to use all of the paper.
        weights = np.clip(1 - (residual / ((2 if round_ < 6 else 4) * spread)) ** 2, 0, None) ** 2
        used = 1 if round_ < 2 else 3 if round_ < 5 else 6  # level, then slope, then bend
        matrix = fitted[:, :used]
        weighted = (matrix * weights[:, None]).T
        coefficients = np.zeros(6)
        coefficients[:used] = np.linalg.solve(weighted @ matrix + 1e-6 * len(values) * np.eye(used), weighted @ values)
        surface = fitted @ coefficients
    return np.clip((terms @ coefficients).reshape(grey.shape), grey.min(), grey.max())


@lru_cache(maxsize=4)
def _quadratic(height: int, width: int, step: int) -> tuple[Plane, Plane]:
    """Return the terms 1, x, y, xy, x^2, y^2 at each pixel, (height * width, 6), and at every ``step``-th pixel.

    x and y are -1 to 1.
    """
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=-1).reshape(-1, 6)
    return terms, np.ascontiguousarray(terms[::step])


def low_levels(plane: Plane, axis: int) -> Plane:
    """Return the 10th percentile of each row (axis 1) or column (axis 0), faster than ``np.percentile``."""
    ordered = np.sort(plane, axis=axis)
    place = 0.1 * (plane.shape[axis] - 1)
    low = int(place)
    first, second = (np.take(ordered, [min(k, plane.shape[axis] - 1)], axis=axis) for k in (low, low + 1))
    part, step = place - low, second - first
    return np.asarray(first + step * part if part < 0.5 else second - step * (1 - part))


def local_background_of(grey: Plane, *, lined: bool = False) -> Plane:
    """Return the median around each pixel over a third of the picture: the paper, if strokes are thin.

    ``lined`` takes the medians of blocks first. Single pixels could all lie on the lines of squared paper.
    """
    step = min(max(1, max(grey.shape) // 48), *grey.shape)
    coarse = grey[::step, ::step]
    if lined:
        rows, columns = (length // step for length in grey.shape)
        blocks = grey[: rows * step, : columns * step].reshape(rows, step, columns, step)
        coarse = np.median(blocks, axis=(1, 3))
    size = max(3, round(max(coarse.shape) / 3))
    median = ndimage.median_filter(coarse, size=size, mode="nearest")
    return np.asarray(ndimage.zoom(median, np.divide(grey.shape, coarse.shape), order=1))


def start_level(grey: Plane) -> float:
    """Return a level of the paper: the median of three rings or of the whole picture that most pixels are near.

    The rings lie at the edge. A frame or a table spoils the outer rings, a thick pen the median of the whole.
    """
    rings = [grey[ring] for ring in _rings(*grey.shape)]
    levels = [float(np.median(ring)) for ring in (*rings, grey) if ring.size]
    return max(levels, key=lambda level: np.count_nonzero(np.abs(grey - level) < _NEAR))


@lru_cache(maxsize=4)
def _rings(height: int, width: int) -> tuple[Mask, ...]:
    """Return masks (height, width) of three rings of a picture, from its edge inwards."""
    y, x = np.mgrid[0:height, 0:width]
    depth = np.minimum(np.minimum(y, height - 1 - y) / height, np.minimum(x, width - 1 - x) / width)
    return tuple((depth >= k * EDGE) & (depth < (k + 1) * EDGE) for k in range(3))


def grain_of(difference: Plane) -> float:
    """Return the standard deviation of the paper, from the side of the background that varies less."""
    sides = [np.abs(difference[difference <= 0]), np.abs(difference[difference >= 0])]
    return min(1.4826 * float(np.median(side)) for side in sides if len(side))


def contrast_of(signed: Plane, grain: float) -> float:
    """Return the contrast of full ink: the 75th percentile of pixels above half of the strongest 0.2 %."""
    smooth = median_of_nine(signed) if min(signed.shape) > 60 else signed
    count = max(5, smooth.size // 500)
    most = float(np.partition(smooth, -count, axis=None)[-count:].mean())
    ink = signed[signed > max(0.5 * most, GRAINS * grain)]
    return float(np.percentile(ink, 75)) if len(ink) else 0.0


def median_of_nine(plane: Plane) -> Plane:
    """Return the median of each pixel and its eight neighbours, five times as fast as a general median filter.

    Columns of three are sorted first. The median of nine is the median of the largest low, the median middle and the
    smallest high. Source: Smith, "Implementing median filters in XC4000E FPGAs", XCell 23, 1996.
    """
    padded = np.pad(plane, 1, mode="symmetric")
    above, here, below = padded[:-2], padded[1:-1], padded[2:]
    low, middle = np.minimum(np.minimum(above, here), below), _middle(above, here, below)
    high = np.maximum(np.maximum(above, here), below)
    lows = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
    middles = _middle(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])
    highs = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
    return _middle(lows, middles, highs)


def _middle(a: Plane, b: Plane, c: Plane) -> Plane:
    return np.asarray(np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c)))


def lines_in(ink: Mask) -> list[list[Line]]:
    """Return the horizontal and the vertical lines in a mask of ink (h, w)."""
    across = [line for slope, row in _lines_across(ink) if (line := _line_at(ink, slope, row))]
    down = [line for slope, row in _lines_across(ink.T) if (line := _line_at(ink.T, slope, row))]
    return [across, [Line(line.mask.T, line.thickness) for line in down]]


def of_paper(lines: list[list[Line]], stroke: float) -> Mask | None:
    """Return the pixels of lines that belong to the paper; None without any.

    A single line may be the straight stroke of a digit that fills its picture, so it must be thinner than ``stroke``.
    """
    masks = [
        line.mask for parallel in lines for line in parallel if len(parallel) >= _GRID or line.thickness <= 0.6 * stroke
    ]
    return np.logical_or.reduce(masks) if masks else None


def _lines_across(ink: Mask) -> list[tuple[float, int]]:
    """Return slope and first row of each horizontal line, the clearest first."""
    height, width = ink.shape
    end = max(1, width // 20)
    if not (ink[:, :end].any() and ink[:, -end:].any()):
        return []
    rows, columns = np.nonzero(ink)
    profiles = np.zeros((len(_SLOPES), height))
    for number, slope in enumerate(_SLOPES):
        starts = np.round(rows - slope * columns).astype(np.int64)
        inside = (starts >= 0) & (starts < height)
        profiles[number] = np.bincount(starts[inside], minlength=height) / width
    found: list[tuple[float, int]] = []
    gap = max(2, round(_THIN * height))
    while profiles.max(initial=0) >= _COVERED:
        place, row = map(int, np.unravel_index(int(profiles.argmax()), profiles.shape))
        found.append((float(_SLOPES[place]), row))
        profiles[:, max(0, row - gap) : row + gap + 1] = 0
    return found


def _line_at(ink: Mask, slope: float, first: int) -> Line | None:
    """Return the line that starts in row ``first`` at the left; None if it is as thick as a stroke or incomplete."""
    height, width = ink.shape
    columns = np.arange(width)
    places = np.clip(np.round(first + slope * columns).astype(np.int64), 0, height - 1)
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
    thickness = float(np.median(runs[on]))
    if thickness > max(2.0, _THIN * height):
        return None
    mask = np.zeros_like(ink)
    for column in np.flatnonzero(on & (runs <= _CROSSED * thickness + 1)):
        mask[places[column] - up[column] : places[column] + down[column] + 1, column] = True
    return Line(mask, thickness)

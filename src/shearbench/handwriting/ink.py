"""Where the ink is: a picture of any colour, background and polarity -> how much ink each pixel has, 0 to 1.

The background is a smooth surface, fitted so that ink does not pull it. Ink is what differs from it in the direction
that differs most, beyond the grain of the paper, and connected with something that is clearly ink.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shearbench.handwriting.reading import Picture

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_CONTRAST = 8.0  # grey levels of 255 between ink and background; less is the grain of a scanner or of a JPEG
_GRAINS = 4.0  # ink differs from the background by this many standard deviations of the paper
_EDGE = 0.07  # share of the side that the rim of a picture takes
_SPECK = 0.03  # a part with less ink than this share of the largest is dirt
_BODY = 0.25  # ink of at least this share, connected with full ink, belongs to the digit: pens fade
_NEAR = 20.0  # levels within which pixels count as of the same paper
_FITTED = 6000  # pixels, evenly spread, that the background is fitted to
_WHOLE_SIDE = 0.9  # what covers this share of a side of the picture is no digit, if there is another part
_HALF = 0.45  # of the picture; no pen covers so much of it
_MOST_OF_A_SIDE = 0.6  # what covers more of it may be a shadow
_EVERYWHERE = np.ones((3, 3), bool)


@dataclass(frozen=True, eq=False)
class Ink:
    """``values`` (h, w), 0 paper to 1 full ink, and how they were found; levels are grey values of 255."""

    values: Plane
    polarity: str
    """``light on dark`` or ``dark on light``."""
    background: str
    """Least and greatest level of the fitted background."""
    contrast: float
    noise: float
    removed: int
    """Parts that were taken for dirt, lines or the frame of the picture."""


def find_ink(picture: Picture) -> Ink | str:
    """Return the ink of a picture, or why there is none.

    Where a smooth background leaves something that cannot be a digit, as the edge of a shadow does, it is tried again
    with a background that follows the picture from place to place.
    """
    grey = grey_of(picture)
    found = _ink_on(grey, background_of(grey))
    if isinstance(found, Ink) and not _is_background(found.values):
        return found
    again = _ink_on(grey, local_background_of(grey))
    return found if isinstance(again, str) or _is_background(again.values) else again


def _is_background(values: Plane) -> bool:
    """Tell whether what was taken for ink covers a whole side, or nearly half of the picture."""
    ink = values >= 0.5
    sides = (ink[0], ink[-1], ink[:, 0], ink[:, -1])
    return bool(max(side.mean() for side in sides) > _MOST_OF_A_SIDE or ink.mean() > _HALF)


def _ink_on(grey: Plane, surface: Plane) -> Ink | str:
    difference = grey - surface
    grain = grain_of(difference)
    inner = _without_edge(difference)
    outstanding = np.where(np.abs(inner) > _GRAINS * grain, inner, 0)
    sign = 1.0 if np.sum(outstanding * np.abs(outstanding)) >= 0 else -1.0
    signed = sign * difference
    contrast = contrast_of(signed, grain)
    if contrast < max(LEAST_CONTRAST, _GRAINS * grain):
        return f"no ink found: contrast {contrast:.0f}, grain {grain:.1f}"
    values, removed = cleaned(signed, contrast=contrast, grain=grain)
    if not (values >= 0.5).any():
        return "no ink found: nothing but dirt or lines"
    return Ink(
        values,
        polarity="light on dark" if sign > 0 else "dark on light",
        background=f"{surface.min():.0f} to {surface.max():.0f}",
        contrast=round(contrast, 1),
        noise=round(grain, 2),
        removed=removed,
    )


def grey_of(picture: Picture) -> Plane:
    """Return one level a pixel, 0 to 255: along the direction of colour in which the picture varies most.

    For a grey picture that is its grey. Yellow on white, nearly equal in luminance, differs in it by much. Where
    opacity is the drawing, as on a transparent sheet, it is drawn on a sheet of the contrary brightness; a picture of
    which parts are cut away is filled up with its median colour.
    """
    colour = picture.colour.astype(np.float64)
    opacity = picture.opacity.astype(np.float64)[..., None] / 255
    if opacity.min() < 1:
        colour = colour * opacity + _sheet(colour, opacity[..., 0]) * (1 - opacity)
    flat = colour.reshape(-1, 3)
    if np.ptp(flat, axis=1).max() <= 12:  # grey, but for what JPEG does to it
        grey: Plane = colour.mean(axis=2)
        return grey
    centred = flat - flat.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    direction = vectors[:, -1] * (1 if vectors[:, -1].sum() >= 0 else -1)
    levels = (centred @ direction).reshape(colour.shape[:2])
    result: Plane = np.clip(levels + float(flat.mean()), -255, 510)
    return result


def _sheet(colour: Plane, opacity: Plane) -> Plane:
    """Return the colour (3,) that shows through where a picture is transparent."""
    opaque = colour[opacity > 0.5]
    if not len(opaque):
        return np.zeros(3)
    is_drawing = opaque.mean(axis=1).std() < 25 or len(opaque) < 0.5 * opacity.size
    if is_drawing:
        return np.full(3, 255.0 if np.median(opaque.mean(axis=1)) < 128 else 0.0)
    return np.median(opaque, axis=0)


def background_of(grey: Plane) -> Plane:
    """Return the level of the paper at each pixel: a quadratic surface that most of the picture lies on.

    It starts from a level that many pixels have, and is fitted with Tukey's weights, which leave out what is far from
    it: the ink.
    """
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * y, x**2, y**2], axis=-1).reshape(-1, 6)
    flat = grey.ravel()
    step = max(1, len(flat) // _FITTED)
    fitted, values = terms[::step], flat[::step]
    surface = np.full(len(values), start_level(grey))
    for round_ in range(12):
        residual = values - surface
        spread = max(1.4826 * float(np.median(np.abs(residual))), 1.0)
        weights = np.clip(1 - (residual / (4 * spread)) ** 2, 0, None) ** 2
        used = 1 if round_ < 2 else 3 if round_ < 5 else 6  # level, then slope, then bend
        matrix = fitted[:, :used]
        normal = (matrix * weights[:, None]).T @ matrix + 1e-6 * len(values) * np.eye(used)
        solved = np.linalg.solve(normal, (matrix * weights[:, None]).T @ values)
        coefficients = np.concatenate([solved, np.zeros(6 - used)])
        surface = fitted @ coefficients
    result: Plane = np.clip((terms @ coefficients).reshape(grey.shape), grey.min(), grey.max())
    return result


def local_background_of(grey: Plane) -> Plane:
    """Return the median about each pixel, over a third of the picture: paper, where strokes are thinner than that."""
    step = max(1, max(grey.shape) // 48)
    coarse = grey[::step, ::step]
    size = max(3, round(max(coarse.shape) / 3))
    median = ndimage.median_filter(coarse, size=size, mode="nearest")
    smooth = ndimage.zoom(median, [full / part for full, part in zip(grey.shape, coarse.shape, strict=True)], order=1)
    result: Plane = smooth
    return result


def start_level(grey: Plane) -> float:
    """Return a level of the paper: of the medians of three rings and of all, the one that most pixels are near to.

    The rings lie from the edge inwards. A frame or a table spoils the outer ones, a thick pen the median of all.
    """
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width]
    depth = np.minimum(np.minimum(y, height - 1 - y) / height, np.minimum(x, width - 1 - x) / width)
    rings = [grey[(depth >= k * _EDGE) & (depth < (k + 1) * _EDGE)] for k in range(3)]
    levels = [float(np.median(ring)) for ring in (*rings, grey) if ring.size]
    return max(levels, key=lambda level: int((np.abs(grey - level) < _NEAR).sum()))


def grain_of(difference: Plane) -> float:
    """Return the standard deviation of the paper: of what is on the less outstanding side of the background."""
    sides = [np.abs(difference[difference <= 0]), np.abs(difference[difference >= 0])]
    spreads = [1.4826 * float(np.median(side)) for side in sides if len(side)]
    return min(spreads)


def contrast_of(signed: Plane, grain: float) -> float:
    """Return how far full ink is from the background: the median of what is above half of the most outstanding."""
    smooth = ndimage.median_filter(signed, size=3) if min(signed.shape) > 60 else signed
    count = max(5, smooth.size // 500)
    most = float(np.partition(smooth, -count, axis=None)[-count:].mean())
    ink = signed[signed > max(0.5 * most, _GRAINS * grain)]
    return float(np.percentile(ink, 75)) if len(ink) else 0.0


def cleaned(signed: Plane, *, contrast: float, grain: float) -> tuple[Plane, int]:
    """Return ink from 0 to 1 without grain, specks and frames, and how many parts were taken away."""
    floor = min(2.5 * grain, 0.4 * contrast)
    without_lines = signed - _lines(signed, 1, floor, contrast) - _lines(signed, 0, floor, contrast)
    values = np.clip((without_lines - floor) / (contrast - floor), 0, 1)
    labels, count = ndimage.label(values >= _BODY, structure=_EVERYWHERE)
    if not count:
        return np.zeros_like(values), 0
    numbers = np.arange(1, count + 1)
    mass = ndimage.sum_labels(values, labels, numbers)
    peak = ndimage.maximum(values, labels, numbers)
    on_edge = ndimage.mean(_edge_of(values.shape), labels, numbers)
    solid = (peak >= 0.6) & (mass >= _SPECK * mass.max())
    is_frame = (on_edge > 0.9) | (_share_of_a_side(labels, count) > _WHOLE_SIDE)
    is_frame &= (solid & ~is_frame).any()  # a digit that fills its picture is not its own frame
    largest = mass[~is_frame].max(initial=0)
    kept = ~is_frame & (mass >= _SPECK * largest) & (peak >= 0.6)
    body = np.isin(labels, numbers[kept])
    reach = max(1, round(0.02 * max(values.shape)))  # soft edges of strokes reach a little beyond the body
    near = ndimage.binary_dilation(body, structure=_EVERYWHERE, iterations=reach + 1)
    return np.where(near, values, 0), int(count - kept.sum())


def _lines(signed: Plane, axis: int, floor: float, contrast: float) -> Plane:
    """Return the level of the rows (axis 1) or columns that are ruled: of lines from side to side, fainter than ink."""
    level = np.percentile(signed, 10, axis=axis, keepdims=True)
    ruled: Plane = np.where((level > floor) & (level < 0.6 * contrast), level, 0)
    return ruled


def _share_of_a_side(labels: NDArray[np.signedinteger], count: int) -> Plane:
    """Return for each part the largest share of one side of the picture that it covers."""
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    covered = [np.bincount(side, minlength=count + 1)[1:] / len(side) for side in sides]
    shares: Plane = np.max(covered, axis=0)
    return shares


def _edge_of(shape: tuple[int, ...]) -> Mask:
    """Tell which pixels belong to the rim of a picture."""
    edge = np.ones(shape, bool)
    edge[_inner(shape)] = False
    return edge


def _without_edge(plane: Plane) -> Plane:
    return plane[_inner(plane.shape)]


def _inner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    rims = [int(_EDGE * length) for length in shape]
    return tuple(slice(rim, length - rim) for rim, length in zip(rims, shape, strict=True))

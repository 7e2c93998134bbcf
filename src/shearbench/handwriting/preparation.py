"""Preparation of pictures: a decoded picture -> a 28 x 28 image or a rejection (table ``PREPARATIONS``).

``study`` repeats the study's preparation: grey, 28 x 28, and three filters. ``mnist`` repeats the preparation of MNIST
(LeCun et al., 1998): white ink on black, the digit scaled into a box of 20 x 20 pixels with its proportions unchanged,
and its centre of mass in the middle of 28 x 28. Neither uses the label or other pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from shearbench.data.handwritten import SIDE, Picture
from shearbench.handwriting.ink import find_ink

Grey = NDArray[np.uint8]
Plane = NDArray[np.float64]

BOX = 20
DARKEST, INK, LEAST_INK, LEAST_CONTRAST = 70, 60, 10, 30  # the study's filters
_SAME_SCALE = 0.06  # a digit whose scale differs by less from 1 is moved, not resized
_THINNEST = 1.5  # pixels of the 28 x 28 image; thinner strokes are thickened before the image is reduced


@dataclass(frozen=True, eq=False)
class Prepared:
    """An image (28, 28) with facts of its preparation; ``rejected`` is the reason for a rejection, or empty."""

    image: Grey
    done: Mapping[str, str | int | float] = field(default_factory=dict)
    rejected: str = ""
    doubt: str = ""
    """The reason to doubt that the image shows one digit; its prediction is then not sure."""


def study(picture: Picture) -> Prepared:
    """Return the picture as the study prepared it; a rejected picture has its image too.

    The filters, in order: the brightest pixel is below 70; fewer than 10 pixels are above 60; brightest and darkest
    pixel differ by less than 30.
    """
    grey = picture.grey
    brightest, contrast, bright = int(grey.max()), int(np.ptp(grey)), int((grey > INK).sum())
    reasons = {
        f"brightest pixel {brightest}, below {DARKEST}": brightest < DARKEST,
        f"{bright} pixels above {INK}, fewer than {LEAST_INK}": bright < LEAST_INK,
        f"contrast {contrast}, below {LEAST_CONTRAST}": contrast < LEAST_CONTRAST,
    }
    rejected = next((reason for reason, holds in reasons.items() if holds), "")
    return Prepared(grey, {"brightest": brightest, "contrast": contrast, "bright_pixels": bright}, rejected)


def mnist(picture: Picture) -> Prepared:
    """Return the picture prepared like MNIST; a picture without ink is rejected."""
    ink = find_ink(picture)
    if isinstance(ink, str):
        return Prepared(np.zeros((SIDE, SIDE), np.uint8), {}, ink)
    rows, columns = box_of(ink.values)
    drawn = ink.values[rows, columns]
    scale, width = BOX / max(drawn.shape), stroke_width(drawn)
    drawn, thickened = _boxed(drawn, width, scale)
    doubt = f"{ink.digits} digits in one picture; --many classifies each" if ink.digits > 1 else ""
    done = {
        "polarity": ink.polarity,
        "background": ink.background,
        "contrast": ink.contrast,
        "noise": ink.noise,
        "removed_parts": ink.removed,
        "digits": ink.digits,
        "box": f"{columns.start},{rows.start},{columns.stop},{rows.stop}",
        "scale": round(scale, 3),
        "stroke": round(width * scale, 2),
        "slant": round(_slant(drawn), 1),
        "size": round(max(rows.stop - rows.start, columns.stop - columns.start) / max(ink.values.shape), 3),
        "offset": round(_offset(rows, columns, ink.values.shape), 3),
        "thickened": round(thickened, 2),
    }
    return Prepared(_centred(drawn), done, doubt=doubt)


def image_of(ink: Plane) -> Grey:
    """Return the image (28, 28) of ink (h, w), 0 to 1, cut out of a sheet."""
    drawn = ink[box_of(ink)]
    return _centred(_boxed(drawn, stroke_width(drawn), BOX / max(drawn.shape))[0])


def _boxed(drawn: Plane, width: float, scale: float) -> tuple[Plane, float]:
    """Return ink with its longest side scaled to ``BOX``, and the amount by which thin strokes were thickened."""
    if abs(scale - 1) <= _SAME_SCALE:
        return drawn, 0.0
    thick, thickened = _not_too_thin(drawn, width, scale)
    return _resized(thick, scale), thickened


PREPARATIONS: dict[str, Callable[[Picture], Prepared]] = {"study": study, "mnist": mnist}


def box_of(ink: Plane) -> tuple[slice, slice]:
    """Return the bounding rows and columns of ink of at least 0.1 (full ink is 1)."""
    there = ink >= 0.1
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def stroke_width(ink: Plane) -> float:
    """Return the mean width of strokes in pixels.

    The mean distance to the edge of a stroke of width w is w / 4, so w is four times the mean distance.
    """
    inside = np.pad(ink >= 0.5, 1)
    if not inside.any():
        return 0.0
    distance = ndimage.distance_transform_edt(inside) - 0.5  # the edge lies between two pixels
    return float(4 * distance[inside].mean())


def _slant(ink: Plane) -> float:
    """Return the slant of the digit to the right in degrees, from its second moments."""
    y, x = np.mgrid[0 : ink.shape[0], 0 : ink.shape[1]]
    mass = ink.sum()
    down, right = y - (ink * y).sum() / mass, x - (ink * x).sum() / mass
    spread = (ink * down**2).sum()
    return float(np.degrees(np.arctan(-(ink * down * right).sum() / spread))) if spread > 0 else 0.0


def _offset(rows: slice, columns: slice, shape: tuple[int, ...]) -> float:
    """Return the distance between the centres of box and picture, as a share of the longest side."""
    down = (rows.start + rows.stop - shape[0]) / 2
    right = (columns.start + columns.stop - shape[1]) / 2
    return float(np.hypot(down, right) / max(shape))


def _not_too_thin(ink: Plane, width: float, scale: float) -> tuple[Plane, float]:
    """Thicken strokes that are thinner than ``_THINNEST`` at ``scale``; return also the amount in scaled pixels.

    Otherwise a thin pen on a large sheet would fade when the picture is reduced.
    """
    missing = _THINNEST - width * scale
    radius = missing / (2 * scale)
    if radius < 0.5:
        return ink, 0.0
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    grown = ndimage.grey_dilation(np.pad(ink, reach), footprint=x**2 + y**2 <= radius**2 + 0.5)
    return grown, float(missing)


def _resized(ink: Plane, scale: float) -> Plane:
    """Return ink resized to ``BOX`` on its longest side, with the brightness of strokes restored."""
    height, width = (max(1, round(length * BOX / max(ink.shape))) for length in ink.shape)
    image = Image.fromarray(ink.astype(np.float32))
    kind = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    small = np.clip(np.asarray(image.resize((width, height), kind)), 0, 1).astype(np.float64)
    brightest = np.sort(small, axis=None)[-max(1, small.size // 20) :].mean()
    return np.asarray(np.clip(small / max(brightest, 1e-6), 0, 1))


def _centred(ink: Plane) -> Grey:
    """Return a 28 x 28 image with the centre of mass of the ink in pixel 14 of rows and columns, as in MNIST.

    A digit that this shift would cut off is shifted only as far as it stays whole.
    """
    margins = []
    for axis, length in enumerate(ink.shape):
        mass = ink.sum(axis=1 - axis)
        centre = float((mass * (np.arange(length) + 0.5)).sum() / mass.sum())
        before = int(np.clip(SIDE // 2 - np.floor(centre), 0, SIDE - length))
        margins.append((before, SIDE - length - before))
    return np.pad(np.round(ink * 255).astype(np.uint8), margins)

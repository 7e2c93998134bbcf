"""Styles of writing that are rare in MNIST: zeros with a slash, sevens with a bar, ones with a foot and a flag.

Lines of about the digit's own stroke width are added to MNIST's digits, so that a reader learns both forms. Lengths are
shares of the height of the digit.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shearbench.data.handwritten import SIDE

Images = NDArray[np.uint8]
Plane = NDArray[np.float64]
Segments = NDArray[np.float64]  # the ends of lines (s, 4) in pixels: x and y of one end, then of the other

_INK = 64  # pixels above are ink
_y, _x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)


def slashed_zero(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a line through a zero (28, 28) from the lower left to the upper right, of random length."""
    top, bottom, left, right = _box(digit)
    centre, half = np.array([(left + right) / 2, (top + bottom) / 2]), np.array([right - left, top - bottom]) / 2
    reach = rng.uniform(0.6, 1.2, 2) * half
    return np.concatenate([centre - reach, centre + reach])[None]


def barred_seven(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a short bar across the stem of a seven (28, 28)."""
    top, bottom, *_ = _box(digit)
    height = bottom - top
    row = round(top + rng.uniform(0.45, 0.65) * height)
    x = float(np.flatnonzero(digit[row] > _INK).mean()) if (digit[row] > _INK).any() else SIDE / 2
    half, rise = rng.uniform(0.15, 0.32) * height, rng.uniform(-0.25, 0.25)
    return np.array([[x - half, row + rise * half, x + half, row - rise * half]])


def one_with_serifs(digit: Images, rng: np.random.Generator) -> Segments:
    """Return a foot under a one (28, 28), a flag down to the left from its top, or both."""
    top, bottom, *_ = _box(digit)
    height = bottom - top
    upper, lower = (float(np.flatnonzero(digit[row] > _INK).mean()) for row in (top, bottom))
    kind, lines = rng.integers(3), []
    if kind != 0:
        half, off, rise = rng.uniform(0.12, 0.35) * height, rng.uniform(-0.05, 0.05) * height, rng.uniform(-0.1, 0.1)
        lines.append([lower + off - half, bottom - 0.5 + rise * half, lower + off + half, bottom - 0.5 - rise * half])
    if kind != 1:
        angle, length = np.radians(rng.uniform(30, 65)), rng.uniform(0.2, 0.45) * height
        lines.append([upper, top + 0.5, upper - length * np.sin(angle), top + 0.5 + length * np.cos(angle)])
    return np.array(lines)


STYLES: dict[int, tuple[Callable[[Images, np.random.Generator], Segments], float]] = {
    0: (slashed_zero, 0.25),
    7: (barred_seven, 0.25),
    1: (one_with_serifs, 0.5),
}
"""Digit -> function that returns the added lines, and the share of digits that get them."""


def styled(images: Images, labels: NDArray[np.int64], rng: np.random.Generator) -> tuple[Images, NDArray[np.int64]]:
    """Return new images (m, 28, 28) and labels (m,): a share of the given digits with lines of ``STYLES`` added."""
    made, names = [], []
    for label, (style, share) in STYLES.items():
        rows = np.flatnonzero(labels == label)
        for row in rng.permutation(rows)[: int(share * len(rows))]:
            made.append(_drawn(images[row], style(images[row], rng), width=rng.uniform(1.6, 3.2)))
            names.append(label)
    return np.stack(made), np.array(names, np.int64)


def _drawn(digit: Images, lines: Segments, *, width: float) -> Images:
    """Return a digit (28, 28) with smooth lines of ``width`` pixels added."""
    drawn = digit.astype(np.float64)
    for x0, y0, x1, y1 in lines:
        along = np.array([x1 - x0, y1 - y0])
        share = np.clip(((_x - x0) * along[0] + (_y - y0) * along[1]) / max(along @ along, 1e-9), 0, 1)
        gap: Plane = np.hypot(_x - x0 - share * along[0], _y - y0 - share * along[1])
        drawn = np.maximum(drawn, 255 * np.clip(width / 2 + 0.5 - gap, 0, 1))
    return np.round(drawn).astype(np.uint8)


def _box(digit: Images) -> tuple[int, int, int, int]:
    """Return the first and last row and column of the ink."""
    rows, columns = np.flatnonzero((digit > _INK).any(axis=1)), np.flatnonzero((digit > _INK).any(axis=0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])

"""Ink detection: a picture of any colour, background and polarity -> the ink of each pixel, 0 to 1.

The background is a smooth surface, fitted robustly so that ink does not shift it. Ink pixels differ from the background
in the dominant direction by more than the grain of the paper, and are connected with pixels of full ink.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from shearbench.data.handwritten import Picture
from shearbench.handwriting import paper
from shearbench.handwriting.paper import GRAINS, Mask, Plane, background_of, local_background_of
from shearbench.handwriting.parts import BODY, CONNECTED, Parts

LEAST_CONTRAST = 8.0  # grey levels of 255 between ink and background; less is scanner noise or JPEG noise
_SPECKS, _NO_GRAIN = 100, 5.0  # a sheet with more specks and a lower ratio of contrast to grain is blank
_DEEP = 0.3  # of the longest side; strokes are less deep
_MOST_OF_A_SIDE = 0.6  # a part that covers more of a side and is fainter than ink may be a shadow
_FULL = 0.75  # share of full ink; strokes reach it, shadows beside ink do not
_SOLID_PEN = 0.9  # lines fainter than this share of full ink are removed by their level
_BAND = 0.3  # largest share of the picture for a toolbar or the edge of a table
_STEP = 6.0  # grey levels between such a bar and the paper
_LIKE_PAPER = 0.15  # largest share of a bar's pixels at the level of the paper


@dataclass(frozen=True, eq=False)
class Ink:
    """``values`` (h, w) from 0 (paper) to 1 (full ink), and measurements of them in grey levels of 255."""

    values: Plane
    polarity: str  # light on dark, or dark on light
    background: str  # lowest and highest level of the fitted background
    contrast: float
    noise: float
    removed: int  # number of parts removed as dirt, lines or frame
    digits: int  # estimated number of digits beside or above one another
    raw: Mask  # pixels that differ from the background by more than half of the contrast, before any removal


def find_ink(picture: Picture) -> Ink | str:
    """Return the ink of a picture, or the reason why it has none.

    If the smooth background leaves a part that cannot be a digit, such as the edge of a shadow, the search is repeated
    with a local background. If a digit fills its picture, the paper between its strokes may be taken for ink; then ink
    and paper are exchanged.
    """
    grey = without_bars(paper.grey_of(picture))
    found = _ink_on(grey, background_of(grey))
    for level in (90, 10):  # for strokes that cover more of the picture than paper
        if isinstance(found, str):
            found = _ink_on(grey, background_of(grey, start=float(np.percentile(grey, level))))
    if isinstance(found, Ink):
        found = _right_way_round(grey, found)
        if not _is_background(found.values):
            return found
    again = _ink_on(grey, local_background_of(grey))
    return found if isinstance(again, str) or _is_background(again.values) else again


def _is_background(values: Plane) -> bool:
    """Return True if a part that touches the border is background.

    It is background if it is too thick for a stroke, or if it covers most of a side and is either fainter than ink or
    lies around other ink.
    """
    ink = values >= BODY
    if ink.all():
        return True
    if not (ink[[0, -1]].any() or ink[:, [0, -1]].any()):
        return False
    parts = Parts.of(values)
    border = parts.at_border
    if (parts.depth[border] > _DEEP * max(ink.shape)).any():
        return True
    inside = (~border & (parts.peak >= _FULL) & (parts.mass >= 0.03 * parts.mass.max(initial=0))).any()
    wide = np.flatnonzero(border & (parts.side > _MOST_OF_A_SIDE))
    return bool(len(wide) and (inside or any(parts.mean_inside(int(part), values) < _FULL for part in wide)))


def _right_way_round(grey: Plane, found: Ink) -> Ink:
    """Return the ink, exchanged with the paper if that is thin too and covers fewer corners, with fewer parts."""
    contrary = ~found.raw
    if contrary.all() or _is_wide(contrary, _DEEP * max(grey.shape)):
        return found
    if _unlike_ink(contrary) >= _unlike_ink(found.raw) - 0.5:
        return found
    other = _ink_on(grey, background_of(grey, start=float(np.median(grey[found.raw]))))
    return found if isinstance(other, str) or other.polarity == found.polarity else other


def _is_wide(mask: Mask, reach: float) -> bool:
    """Return True if a pixel of a mask, which must not be full, is further than ``reach`` from its complement."""
    rows, columns = np.nonzero(~mask)
    last = np.array(mask.shape) - 1
    corners = ((y, x) for y in (0, last[0]) for x in (0, last[1]))  # usually paper; the full map costs 30 times as much
    if any(np.min((rows - y) ** 2 + (columns - x) ** 2) > reach**2 for y, x in corners):
        return True
    return bool(ndimage.distance_transform_edt(mask).max() > reach)


def _unlike_ink(ink: Mask) -> float:
    """Return the number of corners covered by ink plus the number of parts beyond the first."""
    near = max(1, min(ink.shape) // 20)
    ends = slice(near), slice(-near, None)
    corners = sum(float(ink[rows, columns].mean()) for rows in ends for columns in ends)
    parts = ndimage.sum_labels(ink, ndimage.label(ink, structure=CONNECTED)[0], np.arange(1, 50))
    return corners + max(0, int((parts >= 0.02 * max(1, ink.sum())).sum()) - 1)


def without_bars(grey: Plane) -> Plane:
    """Return a picture without bars along its sides, such as a toolbar or a strip of table.

    Nearly all pixels of a bar have another level than the rest, are fainter than ink, and end at its inner edge.
    """
    middle = float(np.median(grey))
    for _ in range(4):  # one side at a time, by rotation
        grey = np.rot90(grey)
        other = (np.abs(grey - middle) <= _STEP).mean(axis=1) <= _LIKE_PAPER
        depth = 0 if other.all() else int(np.argmin(other))
        if 3 <= depth <= _BAND * len(grey):
            level = float(np.median(grey[:depth]))
            reaching = (np.abs(grey[depth + 1] - level) < np.abs(grey[depth + 1] - middle)).mean()
            if abs(level - middle) < 0.7 * np.abs(grey - middle).max() and reaching < 0.05:
                grey = grey[depth + 1 :]
                middle = float(np.median(grey))
    return grey


def _ink_on(grey: Plane, surface: Plane) -> Ink | str:
    difference = grey - surface
    found = _signed(difference)
    if isinstance(found, str):
        return found
    signed, contrast, grain = found
    values, removed, digits = _cleaned(signed, _floor(contrast, grain), contrast)
    if not (values >= 0.5).any():
        return "no ink found: nothing but dirt or lines"
    if removed > _SPECKS and contrast < _NO_GRAIN * grain:
        return f"no ink found: nothing but the grain of the paper (contrast {contrast:.0f}, grain {grain:.1f})"
    return Ink(
        values,
        polarity="light on dark" if signed is difference else "dark on light",
        background=f"{surface.min():.0f} to {surface.max():.0f}",
        contrast=round(contrast, 1),
        noise=round(grain, 2),
        removed=removed,
        digits=digits,
        raw=signed > 0.5 * contrast,
    )


def _signed(difference: Plane) -> tuple[Plane, float, float] | str:
    """Return the difference from the background (ink positive), contrast and grain; or why there is no ink."""
    grain = paper.grain_of(difference)
    rims = (int(paper.EDGE * length) for length in difference.shape)
    inner = difference[tuple(slice(rim, length - rim) for rim, length in zip(rims, difference.shape, strict=True))]
    # The sign with the larger sum of squares is ink: shadows are wide and faint, ink is narrow and strong.
    outstanding = np.where(np.abs(inner) > GRAINS * grain, inner, 0)
    signed = difference if np.sum(outstanding * np.abs(outstanding)) >= 0 else -difference
    contrast = paper.contrast_of(signed, grain)
    if contrast < max(LEAST_CONTRAST, GRAINS * grain):
        return f"no ink found: contrast {contrast:.0f}, grain {grain:.1f}"
    return signed, contrast, grain


def sheet_ink(picture: Picture) -> Plane | str:
    """Return the ink (h, w), 0 to 1, of a sheet with many digits, without ruled lines; or why it has none."""
    grey = paper.grey_of(picture)
    found = _signed(grey - local_background_of(grey, lined=True))
    if isinstance(found, str):
        return found
    signed, contrast, grain = found
    floor = _floor(contrast, grain)
    return _without_grid(np.clip((signed - floor) / (contrast - floor), 0, 1))


def _floor(contrast: float, grain: float) -> float:
    """Return the difference from the background at which ink begins."""
    return min(2.5 * grain, 0.4 * contrast)


def _cleaned(signed: Plane, floor: float, contrast: float) -> tuple[Plane, int, int]:
    """Return ink, 0 to 1, without grain, specks, lines and frames, and the numbers of removed parts and of digits."""
    without_lines = signed - _lines(signed, 1, floor, contrast) - _lines(signed, 0, floor, contrast)
    values = np.clip((without_lines - floor) / (contrast - floor), 0, 1)
    parts = Parts.of(values)
    boxes = parts.boxes_about_others()
    rest = _without_grid(np.where(boxes, 0, values) if boxes.any() else values)
    if rest is not values:
        values, parts = rest, Parts.of(rest)
    if not len(parts):
        return np.zeros_like(values), 0, 0
    is_digit = parts.of_digit()
    body = np.isin(parts.labels, 1 + np.flatnonzero(is_digit))
    reach = max(1, round(0.02 * max(values.shape)))  # the soft edge of a stroke extends beyond its body
    near = ndimage.binary_dilation(body, structure=CONNECTED, iterations=reach + 1)
    near &= body | (parts.labels == 0)
    digits = parts.digits(is_digit, 2 * float(parts.depth[is_digit].max(initial=1)))
    return np.where(near, values, 0), int((~is_digit).sum()), digits


def _without_grid(values: Plane) -> Plane:
    """Return ink without the lines of squared or ruled paper, unless nothing would be left."""
    if min(values.shape) < 40:
        return values
    for ink in (values >= BODY, values >= _FULL):  # faint lines first, then dark lines that remain
        lines = paper.lines_in(ink)
        if not any(lines):
            continue
        every = np.logical_or.reduce([line.mask for parallel in lines for line in parallel])
        level = float(np.percentile(values[every], 80)) + 0.1
        if level < _SOLID_PEN and (values > level).sum() > 0.02 * every.sum():  # fainter than the pen
            values = np.clip((values - level) / (1 - level), 0, 1)
            continue
        rest = ndimage.binary_opening(ink & ~every, structure=CONNECTED)
        if not rest.any():
            continue
        stroke = 2 * float(np.percentile(ndimage.distance_transform_edt(rest)[rest], 90))
        printed = paper.of_paper(lines, stroke)
        if printed is not None and (ink & ~printed).sum() >= 0.1 * ink.sum():
            beside = ~ndimage.binary_dilation(rest, structure=CONNECTED)
            around = ndimage.binary_dilation(printed, structure=CONNECTED, iterations=2) & beside
            values = np.where(printed | around, 0, values)
    return values


def _lines(signed: Plane, axis: int, floor: float, contrast: float) -> Plane:
    """Return the level of rows (axis 1) or columns (axis 0) with faint ruled lines, which span the picture."""
    level = paper.low_levels(signed, axis)
    runs = ndimage.label(level.ravel() > floor)[0].reshape(level.shape)
    strokes = np.unique(runs[level >= 0.6 * contrast])  # rows beside full ink are the soft edge of a stroke
    return np.where((runs > 0) & ~np.isin(runs, strokes), level, 0)

"""Many digits in one picture (a row, a grid or a worksheet), found as connected parts in reading order.

There is no trained detector. Digits that touch one another form one part, which is marked as not sure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shearbench.comparison.champion import Reading
from shearbench.data.handwritten import Picture
from shearbench.handwriting.ink import sheet_ink
from shearbench.handwriting.parts import Parts
from shearbench.handwriting.preparation import image_of
from shearbench.handwriting.readers import Readers

Plane = NDArray[np.float64]
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""

SIDE = 1600
"""Longest side in pixels to which a sheet is scaled."""
MOST = 2000  # largest number of digits in one picture
_LEAST = 0.008  # of the longest side; height of the smallest digit
_LARGEST = 0.5  # of both sides; a larger part is not one of several digits
_PIECE = 0.5  # of the usual height; a lower part is a piece of a digit, or dirt
_NEAR = 0.35  # of the usual height; largest gap between pieces of one digit
_WIDE = 1.45  # width / height above which a part may be two touching digits


@dataclass(frozen=True, eq=False)
class Found:
    """A digit of a sheet: its box, its line, its image, and the reason to doubt that it is one digit."""

    box: Box
    line: int
    image: NDArray[np.uint8]
    doubt: str


def find_digits(picture: Picture) -> list[Found] | str:
    """Return the digits of a picture in reading order, or the reason why there is none."""
    values = sheet_ink(picture)
    if isinstance(values, str):
        return values
    parts = Parts.of(values)
    longest = max(values.shape)
    tall = np.maximum(parts.heights, parts.widths) >= _LEAST * longest
    small = (parts.heights < _LARGEST * values.shape[0]) | (parts.widths < _LARGEST * values.shape[1])
    thin = np.minimum(parts.heights, parts.widths) * 15 < np.maximum(parts.heights, parts.widths)
    usable = np.flatnonzero((parts.peak >= 0.6) & tall & small & ~thin)
    if not len(usable):
        return "no digit was found"
    usual = float(np.median(parts.heights[usable][parts.heights[usable] >= np.percentile(parts.heights[usable], 40)]))
    groups = _joined([parts.boxes[part] for part in usable], usable.tolist(), usual)
    groups = [(box, own) for box, own in groups if box[1] - box[0] >= _PIECE * usual]
    if len(groups) > MOST:
        return f"{len(groups)} parts were found, the most is {MOST}: the picture is too rough, or no sheet of digits"
    lines = _lines([box for box, _ in groups], usual)
    return [_found(values, parts, *groups[place], number, usual) for number, line in enumerate(lines) for place in line]


def _found(values: Plane, parts: Parts, box: Box, own: Sequence[int], line: int, usual: float) -> Found:
    top, bottom, left, right = box
    inside = slice(top, bottom), slice(left, right)
    ink = np.where(np.isin(parts.labels[inside], [part + 1 for part in own]), values[inside], 0)
    height, width = bottom - top, right - left
    doubt = "may be digits that touch" if width > _WIDE * max(height, 0.7 * usual) else ""
    return Found(box, line, image_of(ink), doubt)


def _joined(boxes: Sequence[NDArray[np.int64]], parts: Sequence[int], usual: float) -> list[tuple[Box, list[int]]]:
    """Return boxes of digits with their parts; pieces that are stacked and close belong to one digit."""
    groups = [(tuple(map(int, box)), [part]) for box, part in zip(boxes, parts, strict=True)]
    merged = True
    while merged:
        merged = False
        for one in range(len(groups)):
            for other in range(one + 1, len(groups)):
                if _belong(groups[one][0], groups[other][0], usual):
                    first, second = np.array(groups[one][0]), np.array(groups[other][0])
                    low, high = np.minimum(first, second), np.maximum(first, second)
                    box = (int(low[0]), int(high[1]), int(low[2]), int(high[3]))
                    groups[one] = (box, groups[one][1] + groups[other][1])
                    del groups[other]
                    merged = True
                    break
            if merged:
                break
    return [((box[0], box[1], box[2], box[3]), own) for box, own in groups]


def _belong(one: Sequence[int], other: Sequence[int], usual: float) -> bool:
    """Return True if two boxes are pieces of one digit: stacked, close, and together no higher than a digit."""
    overlap = min(one[3], other[3]) - max(one[2], other[2])
    narrow = min(one[3] - one[2], other[3] - other[2])
    gap = max(one[0], other[0]) - min(one[1], other[1])
    together = max(one[1], other[1]) - min(one[0], other[0])
    low = min(one[1] - one[0], other[1] - other[0]) < _PIECE * usual
    return low and overlap >= 0.4 * narrow and gap < _NEAR * usual and together < 1.5 * usual


def _lines(boxes: Sequence[Box], usual: float) -> list[list[int]]:
    """Return the indices of the boxes by line from the top, each line from left to right."""
    lines: list[list[int]] = []
    centre = [(box[0] + box[1]) / 2 for box in boxes]
    for place in np.argsort([box[2] for box in boxes]).tolist():  # from the left, because a line may rise or fall
        near = [line for line in lines if abs(centre[line[-1]] - centre[place]) < 0.6 * usual]
        if near:
            min(near, key=lambda line: abs(centre[line[-1]] - centre[place])).append(place)
        else:
            lines.append([place])
    return sorted(lines, key=lambda line: float(np.mean([centre[place] for place in line])))


def read_sheet(picture: Picture, readers: Readers) -> list[tuple[Found, Reading]] | str:
    """Return the digits of a sheet with their predictions, or the reason why there is none."""
    found = find_digits(picture)
    if isinstance(found, str):
        return found
    readings = readers.readings(readers.probabilities(np.stack([one.image for one in found])))
    return list(zip(found, readings, strict=True))


def drawn(picture: Picture, answers: Sequence[tuple[Found, Reading]]) -> Image.Image:
    """Return the picture with a box around each digit and the prediction above it, orange if not sure."""
    image = Image.fromarray(picture.colour).convert("RGB")
    draw = ImageDraw.Draw(image)
    size = max(12, round(0.02 * max(image.size)))
    for found, reading in answers:
        top, bottom, left, right = found.box
        sure = reading.answered and not found.doubt
        colour = (0, 110, 60) if sure else (200, 90, 0)
        draw.rectangle([left - 3, top - 3, right + 2, bottom + 2], outline=colour, width=3)
        text = str(reading.digit) if sure else f"{reading.digit}?"
        draw.text((left, max(0, top - size - 6)), text, fill=colour, font_size=size)
    return image

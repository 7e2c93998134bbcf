"""Many digits in one picture (a row, a grid or a worksheet), found as connected parts, line by line.

There is no trained detector. Digits that touch one another form one part, which is marked as not sure.
``predict_many`` writes a copy of each picture with boxes around the digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from shearbench.comparison.champion import Prediction
from shearbench.data.handwritten import BOXES, Picture, Unreadable, read_file
from shearbench.errors import shown
from shearbench.handwriting.class_pictures import named
from shearbench.handwriting.ink import sheet_ink
from shearbench.handwriting.parts import Parts
from shearbench.handwriting.preparation import image_of
from shearbench.handwriting.readers import Readers, load

Plane = NDArray[np.float64]
Boxes = NDArray[np.int64]
Box = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""

SIDE = 1600
"""Longest side in pixels to which a sheet is scaled."""
MOST = 2000  # largest number of digits in one picture
_LEAST = 0.008  # of the longest side; height of the smallest digit
_LARGEST = 0.5  # of both sides; a larger part is not one of several digits
_PIECE = 0.5  # of the usual height; a lower part is a piece of a digit, or dirt
_NEAR = 0.35  # of the usual height; largest gap between pieces of one digit
_IS_FIRST = np.array([True, False, True, False])  # of the numbers of a box: those that a larger box has smaller
_WIDE = 1.45  # width / height above which a part may be two touching digits


@dataclass(frozen=True, eq=False)
class Found:
    """A digit of a sheet: its box, its line, its image, and the reason to doubt that it is one digit."""

    box: Box
    line: int
    image: NDArray[np.uint8]
    doubt: str


def find_digits(picture: Picture) -> list[Found] | str:
    """Return the digits of a picture line by line, from left to right, or the reason why there is none."""
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
        return "no digit was found; a picture of one large digit needs no --many"
    usual = float(np.median(parts.heights[usable][parts.heights[usable] >= np.percentile(parts.heights[usable], 40)]))
    groups = [each for each in _joined(parts.boxes[usable], usable, usual) if each[0][1] - each[0][0] >= _PIECE * usual]
    if len(groups) > MOST:
        return f"{len(groups)} parts were found, the most is {MOST}: the picture is too rough, or no sheet of digits"
    lines = _lines([box for box, _ in groups], usual)
    return [_found(values, parts, *groups[place], number, usual) for number, line in enumerate(lines) for place in line]


def _found(values: Plane, parts: Parts, box: Box, own: list[int], line: int, usual: float) -> Found:
    top, bottom, left, right = box
    inside = slice(top, bottom), slice(left, right)
    ink = np.where(np.isin(parts.labels[inside], np.array(own) + 1), values[inside], 0)
    height, width = bottom - top, right - left
    doubt = "may be digits that touch" if width > _WIDE * max(height, 0.7 * usual) else ""
    return Found(box, line, image_of(ink), doubt)


def _joined(boxes: Boxes, parts: NDArray[np.int64], usual: float) -> list[tuple[Box, list[int]]]:
    """Return boxes of digits with their parts; pieces that are stacked and close belong to one digit.

    The first pair in the order of ``parts`` (n,) that belongs together is joined, then the first pair of what is left.
    Before a join, no earlier box belongs to any other. Only the joined box can have become a piece of an earlier one,
    so the search goes on from the joined box.
    """
    boxes, groups, one = boxes.copy(), [[part] for part in parts.tolist()], 0
    while one < len(boxes):
        near = np.flatnonzero(_belong(boxes, boxes[one], usual))
        near = near[near != one]
        if not len(near):
            one += 1
            continue
        one, other = sorted((one, int(near[0])))
        pair = boxes[[one, other]]
        boxes[one] = np.where(_IS_FIRST, pair.min(axis=0), pair.max(axis=0))
        boxes = np.delete(boxes, other, axis=0)
        groups[one] += groups.pop(other)
    return [
        ((top, bottom, left, right), own)
        for (top, bottom, left, right), own in zip(boxes.tolist(), groups, strict=True)
    ]


def _belong(boxes: Boxes, one: NDArray[np.int64], usual: float) -> NDArray[np.bool_]:
    """Return a mask (n,) of the boxes (n, 4) that are pieces of the same digit as ``one`` (4,).

    Pieces are stacked and close, one of them is low, and together they are no higher than a digit.
    """
    (top, bottom, left, right), (top_1, bottom_1, left_1, right_1) = boxes.T, one
    overlap = np.minimum(right, right_1) - np.maximum(left, left_1)
    narrow = np.minimum(right - left, right_1 - left_1)
    gap = np.maximum(top, top_1) - np.minimum(bottom, bottom_1)
    together = np.maximum(bottom, bottom_1) - np.minimum(top, top_1)
    low = np.minimum(bottom - top, bottom_1 - top_1) < _PIECE * usual
    return np.asarray(low & (overlap >= 0.4 * narrow) & (gap < _NEAR * usual) & (together < 1.5 * usual))


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


def predict_sheet(picture: Picture, readers: Readers) -> list[tuple[Found, Prediction]] | str:
    """Return the digits of a sheet with their predictions, or the reason why there is none."""
    found = find_digits(picture)
    if isinstance(found, str):
        return found
    predicted = readers.predict(np.stack([one.image for one in found]))
    return [(one, prediction) for one, (prediction, _) in zip(found, predicted, strict=True)]


def drawn(picture: Picture, predicted: Sequence[tuple[Found, Prediction]]) -> Image.Image:
    """Return the picture with a box around each digit and the prediction above it, orange if not sure."""
    image = Image.fromarray(picture.colour).convert("RGB")
    draw = ImageDraw.Draw(image)
    size = max(12, round(0.02 * max(image.size)))
    for found, prediction in predicted:
        top, bottom, left, right = found.box
        sure = prediction.answered and not found.doubt
        colour = (0, 110, 60) if sure else (200, 90, 0)
        draw.rectangle([left - 3, top - 3, right + 2, bottom + 2], outline=colour, width=3)
        text = str(prediction.label) if sure else f"{prediction.label}?"
        draw.text((left, max(0, top - size - 6)), text, fill=colour, font_size=size)
    return image


def print_sheets(result: dict[str, Any], *, quiet: bool) -> None:
    """Print the lines of digits of each sheet; ? marks a digit that is not sure."""
    for image in result["images"]:
        file = shown(image["file"])
        if "unread" in image:
            print(f"{file}\t-" if quiet else f"{file}: {shown(image['unread'])}")
        elif quiet:
            print("\n".join(f"{file}\t{line}" for line in image["lines"]))
        else:
            unsure, count = sum(digit["class"] is None for digit in image["digits"]), len(image["digits"])
            print("\n".join([f"{file}:", *(f"  {line}" for line in image["lines"])]))
            print(f"  {count} digit{'' if count == 1 else 's'}, {unsure} not sure; boxes: {shown(image['boxes'])}")
            print("  Check the boxes: touching digits are not separated, digits in a strong shadow may be missing, and")
            print("  letters, circles and signs such as + are taken for digits.")


def predict_many(files: Sequence[Path]) -> dict[str, Any]:
    """Return predictions for pictures with many digits each; write a copy with boxes beside each picture."""
    readers = load()
    return {"model": readers.facts, "images": [_sheet(one.path, readers) for one in named(files)]}


def _sheet(file: Path, readers: Readers) -> dict[str, Any]:
    try:
        picture = read_file(file, side=SIDE)
    except Unreadable as error:
        return {"file": str(file), "unread": str(error)}
    digits_found = predict_sheet(picture, readers)
    if isinstance(digits_found, str):
        return {"file": str(file), "unread": digits_found}
    boxes = file.with_name(file.name + BOXES)
    drawn(picture, digits_found).save(boxes)
    digits: list[dict[str, Any]] = [
        {
            "line": found.line,
            "box": [found.box[2], found.box[0], found.box[3], found.box[1]],
            "class": predicted.label if predicted.answered and not found.doubt else None,
            "best": predicted.label,
            "confidence": predicted.confidence,
            "doubt": found.doubt,
        }
        for found, predicted in digits_found
    ]
    lines: dict[int, str] = {}
    for digit in digits:
        lines[digit["line"]] = lines.get(digit["line"], "") + ("?" if digit["class"] is None else str(digit["class"]))
    height, width = picture.colour.shape[:2]
    return {
        "file": str(file),
        "size": [width, height],
        "lines": [*lines.values()],
        "digits": digits,
        "boxes": str(boxes),
    }

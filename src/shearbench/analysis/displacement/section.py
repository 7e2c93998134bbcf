"""Errors by displacement."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose, Section, Table

_TITLE = "Displacement and errors"
_TEXT = """Every training digit gets four numbers from its field: the mean of |u| over all pixels, its mean on the
stroke (weighted by the grey value), the mean length of u minus the field of the block without a digit, and the mean
norm of the displacement gradient. Each number divides the digits of a class into five equal groups. The figure has
the out-of-fold error of each group, with Wilson's 95 % interval. Ranks within classes remove the differences between
classes. Networks trained on images of the same digits are a control: they never get a displacement, so their trend
comes from the shape of the digits."""
_NUMBERS = """Large: the probability that a misclassified digit is displaced more than another digit of its class.
Odd: that its displacement is farther from the median of its class, on either side. Both are 0.5 without a relation;
95 % intervals by DeLong's method, on the logit scale."""
_NAMES = {
    "overall": "mean |u|",
    "stroke": "|u| on the stroke",
    "disturbance": "mean |u - u of the empty block|",
    "gradient": "mean norm of the gradient of u",
}
_CAPTION = "Within classes. Bold: the interval excludes 0.5; 1 in 20 does so by chance."
_COLUMNS = (
    Column("displacement"),
    Column("read from", help="the dataset of the networks"),
    Column("model"),
    Column("errors", True, "out of fold, mean over the repeats"),
    Column("large", True, "probability that a misclassified digit is displaced more than another of its class"),
    Column("odd", True, "probability that its displacement is less usual than that of another of its class"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("displacement", _TITLE, [], (comparison.MISSING,))
    if not (root / "build" / "comparison" / "displacement_areas.csv").is_file():
        return Section("displacement", _TITLE, [])
    areas = [row for row in comparison.rows_of(root, "displacement_areas") if row["ranked"] == "within class"]
    blocks: list[Block] = [Prose(_TEXT)]
    for name in dict.fromkeys(row["fields"] for row in areas):
        picture = comparison.picture(root, f"displacement_{name}", f"Errors by displacement of {name}")
        lines = [_row(row) for row in areas if row["fields"] == name]
        files = [*comparison.data(root, "displacement_areas"), *comparison.data(root, "errors_by_displacement")]
        blocks += [Heading(name), *_mean_fields(root, name), Pictures([picture], wide=True)]
        blocks += [Prose(f"{_NUMBERS} {_finding(areas, name)}"), Table(_COLUMNS, lines, _CAPTION, files)]
    return Section("displacement", _TITLE, blocks)


def _mean_fields(root: Path, name: str) -> list[Block]:
    folder = root / "build" / "explore" / name
    picture = folder / "displacement_classes.png"
    if not picture.is_file():
        return []
    text = f"Mean displacement of each class of {name}, the norm of its gradient, and what the digits change in it"
    return [Pictures([Picture.of(picture, text, f"{text}.", [folder / "displacement.csv"])], wide=True)]


def _finding(areas: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return a sentence with the number of runs with errors at large, and at unusual, displacement."""
    counts = []
    for dataset in dict.fromkeys(row["dataset"] for row in areas):
        rows = [row for row in areas if (row["fields"], row["dataset"], row["measure"]) == (name, dataset, "overall")]
        large, odd = (sum(row[f"{kind}_low"] > 0.5 for row in rows) for kind in ("large", "odd"))
        counts.append(f"large for {large} and odd for {odd} of {len(rows)} models on {dataset}")
    return f"By mean |u|, the whole interval is above 0.5: {'; '.join(counts)}."


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    errors = Cell(f"{row['errors']:g}", row["errors"])
    return [_NAMES[row["measure"]], row["dataset"], row["model"], errors, _area(row, "large"), _area(row, "odd")]


def _area(row: Mapping[str, Any], name: str) -> Cell:
    area, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return Cell("too few errors")
    return Cell(f"{area:.2f} ({low:.2f} to {high:.2f})", area, strong=low > 0.5 or high < 0.5)

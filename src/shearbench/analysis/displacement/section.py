"""The report's section on displacement and errors."""

import math
from functools import partial
from operator import itemgetter
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose

_DISPLACEMENT = """\
Every training sample gets four numbers from its field: the mean of |u| over all pixels, its mean on the
stroke (weighted by the grey value), the mean length of u minus the field of the block without a digit, and the mean
norm of the displacement gradient. Each number divides the samples of a class into five equal groups. The figure has
the out-of-fold error of each group, with Wilson's 95 % interval. Ranks within classes remove the differences between
classes. Networks trained on images of the same samples are a control: they never get a displacement, so their trend
comes from the shape of the samples."""
_NUMBERS = """Large: the probability that a misclassified sample is displaced more than another sample of its class.
Odd: that its displacement is farther from the median of its class, on either side. Both are 0.5 without a relation;
95 % intervals by DeLong's method, on the logit scale."""
_NAMES = {
    "overall": "mean |u|",
    "stroke": "|u| on the stroke",
    "disturbance": "mean |u - u of the empty block|",
    "gradient": "mean norm of the gradient of u",
}
_WITHIN_CLASSES = "Within classes. Bold: the interval excludes 0.5; 1 in 20 does so by chance."


@page.section("displacement", "Displacement and errors")
def displacement(root: Path, _: page.Rows) -> list[Block]:
    """Return figures and table of each dataset of fields; nothing without one."""
    if not (root / "build" / "comparison" / "displacement_areas.csv").is_file():
        return []
    areas = [row for row in page.rows_of(root, "displacement_areas") if row["ranked"] == "within class"]
    files = [*page.data(root, "displacement_areas"), *page.data(root, "errors_by_displacement")]
    blocks: list[Block] = [Prose(_DISPLACEMENT)]
    for name in dict.fromkeys(row["fields"] for row in areas):
        shown = page.wide(root, f"displacement_{name}", f"Errors by displacement of {name}")
        blocks += [Heading(name), *_mean_fields(root, name), shown]
        blocks.append(Prose(f"{_NUMBERS} {_finding(areas, name)}"))
        blocks.append(page.table(_AREAS, [row for row in areas if row["fields"] == name], _WITHIN_CLASSES, files))
    return blocks


def _mean_fields(root: Path, name: str) -> list[Block]:
    folder = root / "build" / "explore" / name
    path = folder / "displacement_classes.png"
    if not path.is_file():
        return []
    text = f"Mean displacement of each class of {name}, the norm of its gradient, and what the digits change in it"
    return [Pictures([Picture.of(path, text, f"{text}.", [folder / "displacement.csv"])], wide=True)]


def _finding(areas: page.Rows, name: str) -> str:
    """Return a sentence with the number of runs with errors at large, and at unusual, displacement."""
    counts = []
    for dataset in dict.fromkeys(row["dataset"] for row in areas):
        rows = [row for row in areas if (row["fields"], row["dataset"], row["measure"]) == (name, dataset, "overall")]
        large, odd = (sum(row[f"{kind}_low"] > 0.5 for row in rows) for kind in ("large", "odd"))
        counts.append(f"large for {large} and odd for {odd} of {len(rows)} models on {dataset}")
    return f"By mean |u|, the whole interval is above 0.5: {'; '.join(counts)}."


def _area(name: str, row: page.Row) -> Cell:
    area, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if math.isnan(low):
        return Cell("too few errors")
    return Cell(f"{area:.2f} ({low:.2f} to {high:.2f})", area, strong=low > 0.5 or high < 0.5)


_AREAS: page.Columns = {
    Column("displacement"): lambda row: _NAMES[row["measure"]],
    Column("predicted from", help="the dataset of the networks"): itemgetter("dataset"),
    Column("model"): itemgetter("model"),
    Column("errors", True, "out of fold, mean over the repeats"): page.number("errors", "g"),
    Column("large", True, "probability that a misclassified sample is displaced more than another of its class"): (
        partial(_area, "large")
    ),
    Column("odd", True, "probability that its displacement is less usual than that of another of its class"): (
        partial(_area, "odd")
    ),
}

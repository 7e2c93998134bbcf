"""Grad-CAM: maps of the same samples side by side, their measures, and the maps of every fold."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.pictures import missing, of_networks, per_dataset, without_layers

_TITLE = "Grad-CAM"
_TEXT = """One test sample per class (the lowest id), the same for every network, fold and dataset. A map shows the
pixels that are evidence for the true class."""
_MEASURED = """Measures of the maps. Deletion removes the pixels with the largest weight first; insertion adds them
first to an input without a sample (Petsiuk et al. 2018). The number is the mean probability of the true class on the
way: low for deletion and high for insertion with a good map. Entropy is 0 for a map of one pixel and 1 for a uniform
map. The share on the stroke counts pixels of the image above half of white. Agreement is the correlation of the maps
of two folds' networks for the same sample. Chance is the value for noise maps of the same resolution; for agreement it
is the value for maps of samples of different classes, because a network that always looks at the same place agrees
with others by habit. Intervals are 95 % t intervals over the {n} samples, with means over the networks as values."""
_FOLDS = (
    "The same samples through the networks of the folds. A difference between folds is no property of the architecture."
)
_MEASURES = {
    "deletion": "less is better",
    "insertion": "more is better",
    "entropy": "0 one pixel, 1 everywhere",
    "stroke": "share of the map on the stroke",
    "agreement": "correlation of the maps of two folds",
}


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    compared = comparison.is_there(root)
    side_by_side = _side_by_side(root, rows) if compared else []
    pictures = []
    for folder, record in of_networks(root, rows):
        text = f"Attribution maps of {record['model']} on {record['dataset']}"
        pictures.append((record["dataset"], Picture.of(folder / "figures" / "gradcam.png", text, _method(record))))
    blocks = [
        Prose(_TEXT),
        *without_layers(root, rows),
        *side_by_side,
        Prose(_FOLDS),
        *per_dataset(pictures),
    ]
    return Section("attribution", _TITLE, blocks, [*missing(root, rows), *([] if compared else [comparison.MISSING])])


def _side_by_side(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not of_networks(root, rows):
        return []
    found = {(row["dataset"], row["model"], row["measure"]): row for row in comparison.rows_of(root, "explanation")}
    columns = [Column("dataset"), Column("model"), *(Column(name, True, text) for name, text in _MEASURES.items())]
    lines = [
        [row["dataset"], row["model"], *(_measure(found[row["dataset"], row["model"], name]) for name in _MEASURES)]
        for row in rows
        if (row["dataset"], row["model"], next(iter(_MEASURES))) in found
    ]
    return [
        Pictures([comparison.picture(root, "attribution", "Maps of every network of the same samples")], wide=True),
        Heading("The maps, measured"),
        Prose(_MEASURED.format(n=max(row["n"] for row in found.values()))),
        Table(columns, lines, "Mean (95 % interval over samples; chance).", comparison.data(root, "explanation")),
        Pictures(
            [
                comparison.picture(root, "explanation", "Measures of the maps with intervals", data=["explanation"]),
                comparison.picture(
                    root, "explanation_curves", "Deletion and insertion curves", data=["explanation_curves"]
                ),
            ],
            wide=True,
        ),
        Heading("Fold by fold"),
    ]


def _measure(row: Mapping[str, Any]) -> Cell:
    if math.isnan(row["mean"]):
        return Cell("no map")
    return Cell(f"{row['mean']:.2f} ({row['low']:.2f}\N{EN DASH}{row['high']:.2f}; {row['chance']:.2f})", row["mean"])


def _method(record: Mapping[str, Any]) -> str:
    """Return a sentence on the method of the maps, and the reason if it is not Grad-CAM."""
    facts = record["measurements"]["gradcam"]
    if facts["skipped"]:
        return f"No Grad-CAM: {facts['skipped']}."
    height, width = facts["resolution"]
    return f"Grad-CAM on layer {facts['layer']}, whose map is {height} × {width}."

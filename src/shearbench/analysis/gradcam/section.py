"""The report's section on Grad-CAM."""

import math
from functools import partial
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose

_MAPS = """One test sample per class (the lowest id), the same for every network, fold and dataset. A map shows the
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


@page.section("attribution", "Grad-CAM")
def attribution(root: Path, rows: page.Rows) -> list[Block]:
    """Return the maps side by side with their measures, and the maps of every fold."""
    networks = page.of_networks(root, rows)
    pictures = []
    for folder, record in networks:
        text = f"Attribution maps of {record['model']} on {record['dataset']}"
        pictures.append((record["dataset"], Picture.of(folder / "figures" / "gradcam.png", text, _method(record))))
    side_by_side = _explanation(root, rows) if networks else []
    folds = [Prose(_FOLDS), *page.per_dataset(pictures)]
    return [Prose(_MAPS), *page.without_layers(root, rows), *side_by_side, *folds]


def _explanation(root: Path, rows: page.Rows) -> list[Block]:
    measures = page.rows_of(root, "explanation")
    found = {(row["dataset"], row["model"], row["measure"]): row for row in measures}
    runs = [(row["dataset"], row["model"]) for row in rows if (row["dataset"], row["model"], "entropy") in found]
    lines = [
        {"dataset": dataset, "model": model, **{name: found[dataset, model, name] for name in _MEASURES}}
        for dataset, model in runs
    ]
    columns = page.RUN | {Column(name, True, text): partial(_measure, name) for name, text in _MEASURES.items()}
    curves = page.picture(root, "explanation_curves", "Deletion and insertion curves", data=["explanation_curves"])
    return [
        page.wide(root, "attribution", "Maps of every network of the same samples"),
        Heading("The maps, measured"),
        Prose(_MEASURED.format(n=max(row["n"] for row in measures))),
        page.table(columns, lines, "Mean (95 % interval over samples; chance).", page.data(root, "explanation")),
        Pictures(
            [page.picture(root, "explanation", "Measures of the maps with intervals", data=["explanation"]), curves],
            wide=True,
        ),
        Heading("Fold by fold"),
    ]


def _measure(name: str, row: page.Row) -> Cell:
    mean, low, high, chance = (row[name][part] for part in ("mean", "low", "high", "chance"))
    if math.isnan(mean):
        return Cell("no map")
    return Cell(f"{mean:.2f} ({low:.2f}\N{EN DASH}{high:.2f}; {chance:.2f})", mean)


def _method(record: page.Row) -> str:
    """Return a sentence on the method of the maps, and the reason if it is not Grad-CAM."""
    facts = record["measurements"]["gradcam"]
    if facts["skipped"]:
        return f"No Grad-CAM: {facts['skipped']}."
    height, width = facts["resolution"]
    return f"Grad-CAM on layer {facts['layer']}, whose map is {height} × {width}."

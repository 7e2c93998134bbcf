"""Training digits whose label is suspected, pictured as they were drawn: the more cells do, the worse for the label."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.evaluation.canvas import bare, figure
from shearbench.evaluation.files import Files, picture, table
from shearbench.evaluation.suite import Suite
from shearbench.evaluation.tiles import GREY, SMALL, centres, draw_tiles

_COLUMNS, _ROWS = 12, 2


def suspicious(suite: Suite) -> Files:
    """Return the suspected labels of all cells, and a picture of the first."""
    found = suspects(suite)
    return {
        "suspicious_labels.csv": table(found),
        "figures/suspicious_labels.png": picture(suspects_figure(suite, found)),
    }


def suspects(suite: Suite) -> pd.DataFrame:
    """Return a row for each digit and class that some cell suggests for it, those of the most cells first.

    Columns: ``id, label, suggested``; ``cells`` that suggest it, and how many there are, ``of``; the mean
    ``confidence`` of those; their names, ``by``.
    """
    named = [cell.table("suspicious_labels.csv").assign(by=cell.name) for cell in suite.cells]
    groups = pd.concat(named, ignore_index=True).groupby(["id", "label", "suggested"])
    found = groups.agg(cells=("by", "size"), confidence=("confidence", "mean"), by=("by", " ".join)).reset_index()
    found.insert(4, "of", len(suite.cells))
    return found.sort_values(["cells", "confidence", "id"], ascending=[False, False, True], ignore_index=True)


def suspects_figure(suite: Suite, found: pd.DataFrame) -> Figure:
    """Draw the digits that the most cells suspect, with their label and the class that is suggested."""
    digits = suite.digits("train")
    places = {int(number): row for row, number in enumerate(digits.ids)}
    shown = found.head(_COLUMNS * _ROWS)
    made = figure(0.85 * _COLUMNS + 1.0, 1.35 * _ROWS + 0.6)
    for strip, axes in enumerate(made.subplots(_ROWS, 1)):
        part = shown.iloc[strip * _COLUMNS : (strip + 1) * _COLUMNS]
        tiles: NDArray[np.float32] = np.full((1, _COLUMNS, 28, 28), np.nan, np.float32)
        tiles[0, : len(part)] = digits.images[[places[number] for number in part["id"]]]
        draw_tiles(axes, tiles, GREY)
        bare(axes)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        notes = [f"{row.label}, or {row.suggested}?\n{row.cells} of {row.of} cells" for row in part.itertuples()]
        axes.set_xticks(centres(_COLUMNS)[: len(part)], notes, fontsize=SMALL)
    text = f"{found['id'].nunique()} training digits are confidently another class out of fold; those most suspected"
    made.suptitle(text, fontsize=11)
    return made

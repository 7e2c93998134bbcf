"""Training digits whose label is suspected, pictured as they were drawn: the more runs do, the worse for the label."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import bare, figure
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.tiles import GREY, SMALL, centres, draw_tiles
from shearbench.predictions.evaluated import EvaluatedRuns

_COLUMNS, _ROWS = 12, 2


def suspicious(evaluated: EvaluatedRuns) -> Files:
    """Return the suspected labels of all runs, and a picture of the first."""
    found = suspects(evaluated)
    return {
        "suspicious_labels.csv": table(found),
        "figures/suspicious_labels.png": picture(suspects_figure(evaluated, found)),
    }


def suspects(evaluated: EvaluatedRuns) -> pd.DataFrame:
    """Return a row for each digit and class that some run suggests for it, those of the most runs first.

    Columns: ``id, label, suggested``; ``runs`` that suggest it, and how many there are, ``of``; the mean
    ``confidence`` of those; their names, ``by``.
    """
    named = [run.table("suspicious_labels.csv").assign(by=run.name) for run in evaluated.runs]
    groups = pd.concat(named, ignore_index=True).groupby(["id", "label", "suggested"])
    found = groups.agg(runs=("by", "size"), confidence=("confidence", "mean"), by=("by", " ".join)).reset_index()
    found.insert(4, "of", len(evaluated.runs))
    return found.sort_values(["runs", "confidence", "id"], ascending=[False, False, True], ignore_index=True)


def suspects_figure(evaluated: EvaluatedRuns, found: pd.DataFrame) -> Figure:
    """Draw the digits that the most runs suspect, with their label and the class that is suggested."""
    samples = evaluated.samples("train")
    places = {int(number): row for row, number in enumerate(samples.ids)}
    shown = found.head(_COLUMNS * _ROWS)
    made = figure(0.85 * _COLUMNS + 1.0, 1.35 * _ROWS + 0.6)
    for strip, axes in enumerate(made.subplots(_ROWS, 1)):
        part = shown.iloc[strip * _COLUMNS : (strip + 1) * _COLUMNS]
        tiles: NDArray[np.float32] = np.full((1, _COLUMNS, 28, 28), np.nan, np.float32)
        tiles[0, : len(part)] = samples.images[[places[number] for number in part["id"]]]
        draw_tiles(axes, tiles, GREY)
        bare(axes)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        notes = [f"{row.label}, or {row.suggested}?\n{row.runs} of {row.of} runs" for row in part.itertuples()]
        axes.set_xticks(centres(_COLUMNS)[: len(part)], notes, fontsize=SMALL)
    text = f"{found['id'].nunique()} training digits are confidently another class out of fold; those most suspected"
    made.suptitle(text, fontsize=11)
    return made

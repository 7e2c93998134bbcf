"""Compare suspicious training labels: the more runs suspect a label, the more likely it is wrong."""

import pandas as pd
from matplotlib.figure import Figure

from shearbench.plotting.canvas import bare, figure, two_names
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.plotting.tiles import GREY, SMALL, centres, draw_tiles, row_of, visible
from shearbench.predictions.evaluated import EvaluatedRuns

_COLUMNS, _ROWS = 12, 2


def suspicious(evaluated: EvaluatedRuns) -> Files:
    """Return the suspected labels of all runs, and one figure per source."""
    files: dict[str, Writer] = {"suspicious_labels.csv": table(suspects(evaluated))}
    for name, part in evaluated.by_source().items():
        files[f"figures/suspicious_labels{name}.png"] = picture(suspects_figure(part, suspects(part)))
    return files


def suspects(evaluated: EvaluatedRuns) -> pd.DataFrame:
    """Return one row per sample and suggested class, those of the most runs first.

    Columns: ``id, label, suggested``; ``runs``, the number that suggest it; ``of``, the number of all runs; the mean
    ``confidence`` of those that suggest it, and their names, ``by``.
    """
    named = [run.table("suspicious_labels.csv").assign(by=run.name) for run in evaluated.runs]
    groups = pd.concat(named, ignore_index=True).groupby(["id", "label", "suggested"])
    found = groups.agg(runs=("by", "size"), confidence=("confidence", "mean"), by=("by", " ".join)).reset_index()
    found.insert(4, "of", len(evaluated.runs))
    return found.sort_values(["runs", "confidence", "id"], ascending=[False, False, True], ignore_index=True)


def suspects_figure(evaluated: EvaluatedRuns, found: pd.DataFrame) -> Figure:
    """Draw the samples that the most runs suspect, with label and suggested class."""
    shown = found.head(_COLUMNS * _ROWS)
    samples = evaluated.samples("train", evaluated.datasets[0])  # the runs are of one source
    pictures, place = visible(samples.images), {int(number): row for row, number in enumerate(samples.ids)}
    made = figure(0.85 * _COLUMNS + 1.0, 1.35 * _ROWS + 0.6)
    for strip, axes in enumerate(made.subplots(_ROWS, 1)):
        part = shown.iloc[strip * _COLUMNS : (strip + 1) * _COLUMNS]
        tiles = [pictures[place[number]] for number in part["id"]]
        draw_tiles(axes, row_of(tiles, _COLUMNS, pictures.shape[1:]), GREY)
        bare(axes)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        notes = [
            f"{two_names(str(row.label), ', or', str(row.suggested))}?\n{row.runs} of {row.of} runs"
            for row in part.itertuples()
        ]
        axes.set_xticks(centres(_COLUMNS)[: len(part)], notes, fontsize=SMALL)
    text = f"{found['id'].nunique()} training samples have a confident out-of-fold prediction of another class"
    made.suptitle(text, fontsize=11)
    return made

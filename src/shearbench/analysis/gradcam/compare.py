"""Compare the Grad-CAM maps of all runs: side by side, and by measures of their faithfulness with intervals."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shearbench.analysis.gradcam.figure import notes_of, overlaid
from shearbench.plotting.canvas import GREY, OF_DATASETS, band, colours, entry, figure, headed, plain
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.tiles import draw_coloured, sheet
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

MEASURES = {
    "deletion": "deletion: mean probability\nof the true class (less is better)",
    "insertion": "insertion: mean probability\nof the true class (more is better)",
    "entropy": "entropy of the map\n(0 one pixel, 1 everywhere)",
    "stroke": "share of the map\non the stroke",
    "agreement": "correlation of the maps\nof two folds",
}


def attribution(evaluated: EvaluatedRuns) -> Files:
    """Return the maps of every model for the same samples, one figure per source of data."""
    return {
        f"figures/attribution{name}.png": picture(maps_figure(part)) for name, part in evaluated.by_source().items()
    }


def maps_figure(evaluated: EvaluatedRuns) -> Figure:
    """Draw a row per run and a column per class: the map of fold 0's network over its input."""
    runs = [run for model in evaluated.models for run in evaluated.of_model(model)]
    tiles, notes, names = [], list[list[str]](), []
    for run in runs:
        arrays, predictions = run.arrays("gradcam.npz"), run.arrays("test_predictions.npz")
        chosen = [int(np.flatnonzero(predictions["ids"] == number)[0]) for number in arrays["ids"]]
        predicted, maps = predictions["probabilities"][0, chosen].argmax(axis=1), arrays["maps"][0]
        tiles.append(overlaid(arrays["seen"][0], maps))
        notes.append(notes_of(maps, predicted, arrays["labels"], run.record["classes"], first=not notes))
        names.append(f"{run.model}{method_of(run)}\non {run.dataset}")
    made = sheet(len(runs), len(tiles[0]), beside=1.2, above=0.9)
    draw_coloured(made.subplots(), np.stack(tiles), names, notes)
    made.suptitle("Evidence for the true class, fold 0: the same test sample of each class everywhere", fontsize=11)
    made.supxlabel(
        "Orange: the map, from 0 to its own maximum, over the size of the normalised input in grey. Grad-CAM of the\n"
        "last feature map of at least 4 x 4; saliency where there is no convolution.",
        fontsize=9,
    )
    return made


def method_of(run: EvaluatedRun) -> str:
    """Return a note for runs with saliency instead of Grad-CAM."""
    return " (saliency)" if run.record["measurements"]["gradcam"]["method"] == "saliency" else ""


def explanation(evaluated: EvaluatedRuns) -> Files:
    """Return ``explanation.csv`` and ``explanation_curves.csv`` of all runs, and two figures."""
    measures, curves = evaluated.gathered("explanation.csv"), evaluated.gathered("explanation_curves.csv")
    return {
        "explanation.csv": table(measures),
        "explanation_curves.csv": table(curves),
        "figures/explanation.png": picture(measures_figure(evaluated, measures)),
        "figures/explanation_curves.png": picture(curves_figure(evaluated, curves)),
    }


def measures_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw a panel per measure and a line per run: mean and interval over samples, and the chance value."""
    runs = [run for model in evaluated.models for run in evaluated.of_model(model)]
    colour = colours(evaluated.datasets, OF_DATASETS)
    made = figure(2.5 * len(MEASURES) + 1.6, 0.36 * len(runs) + 1.9)
    panels = made.subplots(1, len(MEASURES), sharey=True)
    for axes, (measure, label) in zip(panels, MEASURES.items(), strict=True):
        of_measure = rows[rows["measure"] == measure]
        found = {(row["dataset"], row["model"]): row for row in of_measure.to_dict("records")}
        for place, run in enumerate(runs):
            one, shade = found[run.dataset, run.model], colour[run.dataset]
            axes.plot([one["low"], one["high"]], [place, place], color=shade, lw=2)
            axes.plot(one["mean"], place, "o", color=shade, ms=6)
            axes.plot(one["chance"], place, "|", color=GREY, ms=11, mew=2)
        plain(axes)
        axes.set_xlabel(label, fontsize=8)
        axes.set_xticks((0, 0.5, 1), ("0", "0.5", "1"))
        axes.set_xlim(min(0, float(of_measure[["low", "chance"]].min().min())) - 0.03, 1.03)
    panels[0].set_yticks(range(len(runs)), [f"{run.model} on {run.dataset}{method_of(run)}" for run in runs])
    panels[0].set_ylim(len(runs) - 0.5, -0.5)
    handles = [entry(name, colour[name], marker="o", lw=2) for name in evaluated.datasets]
    handles.append(entry("chance", ls="", marker="|", ms=11, mew=2))
    title = (
        f"Maps for the true class of {rows['n'].max()} test samples: mean over samples of the mean over networks, "
        "95 % t interval over samples.\nChance: maps of noise of the same resolution; for agreement, maps of samples "
        "of different classes."
    )
    headed(made, title, handles)
    return made


def curves_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw deletion above insertion, a column per dataset, a colour per model; dashed for maps of noise."""
    colour = colours(evaluated.palette)
    made = figure(4.2 * len(evaluated.datasets), 6.4)
    grid = made.subplots(2, len(evaluated.datasets), squeeze=False, sharex=True, sharey=True)
    for column, dataset in enumerate(evaluated.datasets):
        grid[0, column].set_title(dataset, fontsize=11)
        for axes, curve in zip(grid[:, column], ("deletion", "insertion"), strict=True):
            plain(axes)
            for run in (run for run in evaluated.runs if run.dataset == dataset):
                of_run = rows[(rows["dataset"] == dataset) & (rows["model"] == run.model)]
                found, random = (of_run[of_run["curve"] == name] for name in (curve, f"random_{curve}"))
                ends = found["low"].clip(lower=0), found["high"].clip(upper=1)
                band(axes, colour[run.model], 100 * found["share"], found["mean"], *ends, lw=1.6)
                axes.plot(100 * random["share"], random["mean"], "--", color=colour[run.model], lw=1.0)
        grid[1, column].set_xlabel("pixels replaced (%)")
    for axes, verb in zip(grid[:, 0], ("deleted", "inserted"), strict=True):
        axes.set_ylabel(f"probability of the true class,\npixels {verb}")
        axes.set_ylim(0, 1.02)
    handles = [*(entry(model, colour[model]) for model in evaluated.models), entry("by a map of noise", ls="--")]
    title = f"Pixels of most weight first: mean over {rows['n'].max()} samples and 95 % t interval over samples"
    headed(made, title, handles)
    return made

"""Compare the Grad-CAM maps of all runs."""

import numpy as np
from matplotlib.figure import Figure

from shearbench.analysis.gradcam.figure import notes_of, overlaid
from shearbench.plotting.files import Files, picture
from shearbench.plotting.tiles import draw_coloured, sheet
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns


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

"""Summarise the Grad-CAM or saliency maps of a run's networks: the arrays and a figure."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.gradcam.figure import notes_of, overlaid
from shearbench.plotting.canvas import shortened
from shearbench.plotting.files import Files, arrays, picture
from shearbench.plotting.tiles import coloured, draw_coloured, sheet

_SHOWN_FOLDS = 5
_LEGEND = (
    "Orange: the map, from 0 to its own maximum, over the size of the input in grey. Inputs are shown normalised,\n"
    "as the network sees them; fields are blue below the mean, red above, one scale a row, cut at the 99th percentile."
)


def attribution(evaluation: Evaluation) -> Files:
    """Return the maps of every fold, and the sheet of the first folds."""
    rows, seen = list(evaluation.explained), evaluation.stacked("gradcam", "seen")
    labels, maps = evaluation.test.labels[rows], evaluation.stacked("gradcam", "maps")
    stored = {"ids": evaluation.test.ids[rows], "labels": labels, "seen": seen, "maps": maps}
    return {"gradcam.npz": arrays(stored), "figures/gradcam.png": picture(_sheet(evaluation, seen[0], labels, maps))}


def _sheet(
    evaluation: Evaluation, inputs: NDArray[Any], labels: NDArray[np.int64], maps: NDArray[np.float32]
) -> Figure:
    """Draw a column for each sample: its channels, then for each fold its map over the sample."""
    classes, facts = evaluation.test.classes, evaluation.facts("gradcam")
    names = ["$u_x$", "$u_y$"] if evaluation.is_field else ["image"] * inputs.shape[1]
    tiles = [_shaded(inputs[:, channel]) for channel in range(inputs.shape[1])]
    notes = [[shortened(classes[label]) for label in labels], *([""] * len(labels) for _ in names[1:])]
    folds = list(zip(evaluation.fold_runs, evaluation.tested, maps, strict=True))
    for fold_run, predictions, own in folds[:_SHOWN_FOLDS]:
        names.append(f"fold {fold_run.fold}")
        tiles.append(overlaid(inputs, own))
        notes.append(notes_of(own, predictions.classes[list(evaluation.explained)], labels, classes))
    made = sheet(len(tiles), len(labels), beside=0.7, above=0.9)
    draw_coloured(made.subplots(), np.stack(tiles), names, notes)
    height, width = facts["resolution"]
    kinds = {
        "grad-cam": f"Grad-CAM of layer {facts['layer']}, map {height} x {width}",
        "saliency": "saliency, as there is no convolution",
    }
    made.suptitle(f"{evaluation.name}: evidence for the true class, {kinds[facts['method']]}", fontsize=11)
    made.supxlabel(_LEGEND, fontsize=9)
    return made


def _shaded(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return one channel of each sample on one scale: grey from zero for an image, blue to red for a signed field."""
    if values.min() >= 0:
        return coloured(values, "gray_r", 0, float(values.max()))
    largest = float(np.percentile(np.abs(values), 99))
    return coloured(values, "RdBu_r", -largest, largest)

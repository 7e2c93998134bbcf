"""Draw figures of a run from the tables of its scores only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from shearbench.plotting.canvas import LABELLED, class_ticks, figure, shortened
from shearbench.predictions.scores import rates

STAGES = ("before", "after")
"""Before and after temperature scaling."""
_TITLES = {"out_of_fold": "cross-validated", "test": "test"}


def confusion_figure(
    title: str, counts: Mapping[str, NDArray[np.int64]], networks: Mapping[str, int], classes: Sequence[str]
) -> Figure:
    """Draw a confusion matrix per split: colours are rates, numbers are rates on the diagonal and counts beside it.

    ``counts`` are split -> (true, predicted) counts summed over the folds, ``networks`` split -> number of networks
    that predict each sample. The figure has means over them.
    """
    side = 5.0 * max(1.0, min(len(classes), LABELLED) / 10)
    names = 0.08 * max(len(shortened(name)) for name in classes)  # inches beside and below the cells
    made = figure((side + names) * len(counts) + 0.9, side + names + 0.4)
    panels = made.subplots(1, len(counts), squeeze=False)[0]
    for axes, (split, matrix) in zip(panels, counts.items(), strict=True):
        shown = matrix / networks[split]
        image = confusion_panel(axes, shown, classes)
        kind = f", mean of {networks[split]} networks" if networks[split] > 1 else ""
        axes.set_title(f"{_TITLES[split]}: n = {round(shown.sum()):,} samples{kind}", fontsize=11)
    made.colorbar(image, ax=list(panels), label="share of the true class", fraction=0.03, pad=0.01)
    made.suptitle(title, fontsize=11)
    return made


def confusion_panel(axes: Axes, counts: NDArray[Any], classes: Sequence[str]) -> AxesImage:
    """Draw a confusion matrix: colours are rates, numbers are rates on the diagonal and counts beside it."""
    shares = rates(counts)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, predicted in np.argwhere(counts > 0) if len(classes) <= LABELLED else ():
        share, count = shares[true, predicted], counts[true, predicted]
        label = f"{100 * share:.1f} %" if true == predicted else f"{count:.1f}".removesuffix(".0")
        colour = "white" if share > 0.5 else "black"
        axes.text(predicted, true, label, ha="center", va="center", fontsize=7, color=colour)
    class_ticks(axes.xaxis, classes)
    class_ticks(axes.yaxis, classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return image


def over_folds(curves: pd.DataFrame) -> str:
    """Return the number of folds of learning curves as a phrase; late epochs may have fewer."""
    most = curves["folds"].max()
    stopped = curves["folds"].min() < most
    return f"{most} folds" + (", late epochs over those that had not stopped" if stopped else "")


def draw_reliability(axes: Axes, bins: pd.DataFrame, colour: str, label: str) -> None:
    """Draw accuracy against confidence with its interval; the area of a marker grows with the samples in its bin."""
    some = bins[bins["n"] > 0]
    reach = [some["accuracy"] - some["accuracy_low"], some["accuracy_high"] - some["accuracy"]]
    axes.errorbar(some["confidence"], some["accuracy"], reach, fmt="none", ecolor=colour, lw=1, alpha=0.6)
    size = 8 + 60 * some["n"] / some["n"].sum()
    axes.plot(some["confidence"], some["accuracy"], color=colour, lw=1, alpha=0.6)
    axes.scatter(some["confidence"], some["accuracy"], size, color=colour, marker="o", label=label, zorder=3)

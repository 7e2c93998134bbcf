"""Figures of a run, drawn only from the tables of its scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from shearbench.plotting.canvas import BLUE, ORANGE, figure, plain, readable_log
from shearbench.plotting.class_axis import LABELLED, class_ticks
from shearbench.predictions.scores import rates

_TITLES = {"out_of_fold": "out of fold", "test": "test"}


def confusion_figure(
    title: str, counts: Mapping[str, NDArray[np.int64]], networks: Mapping[str, int], classes: Sequence[str]
) -> Figure:
    """Draw a confusion matrix for each split: colour and percentage are rates, the number below is samples.

    Args:
        title: what stands above.
        counts: split -> (true, predicted) counts summed over the folds.
        networks: split -> how many networks read each sample; counts are shown as the mean over them.
        classes: their names.
    """
    side = 6.2 * max(1.0, min(len(classes), LABELLED) / 12)
    made = figure(side * len(counts) + 0.9, side + 0.4)
    panels = made.subplots(1, len(counts), squeeze=False)[0]
    for axes, (split, matrix) in zip(panels, counts.items(), strict=True):
        shown = matrix / networks[split]
        image = _confusion_panel(axes, shown, classes)
        kind = f", mean of {networks[split]} networks" if networks[split] > 1 else ""
        axes.set_title(f"{_TITLES[split]}: n = {round(shown.sum()):,} samples{kind}", fontsize=11)
    made.colorbar(image, ax=list(panels), label="share of the true class", fraction=0.03, pad=0.01)
    made.suptitle(title, fontsize=11)
    return made


def _confusion_panel(axes: Axes, counts: NDArray[Any], classes: Sequence[str]) -> AxesImage:
    shares = rates(counts)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, predicted in np.argwhere(counts > 0) if len(classes) <= LABELLED else ():
        share, count = shares[true, predicted], counts[true, predicted]
        samples = f"{count:.1f}".removesuffix(".0")
        label = f"{100 * share:.1f}{' %' if true == predicted else ''}\n{samples}"
        colour = "white" if share > 0.5 else "black"
        axes.text(predicted, true, label, ha="center", va="center", fontsize=7, color=colour)
    class_ticks(axes.xaxis, classes)
    class_ticks(axes.yaxis, classes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return image


def learning_curves_figure(title: str, curves: pd.DataFrame) -> Figure:
    """Draw loss and accuracy against the epoch: mean over folds, and a band of one standard deviation."""
    made = figure(10, 4)
    panels = made.subplots(1, 2)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for split, colour, style in (("train", BLUE, "--"), ("validation", ORANGE, "-")):
            _curve(axes, curves[curves["split"] == split], quantity, colour, style)
        plain(axes)
        axes.set_xlabel("epoch")
        axes.legend(frameon=False)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel("cross-entropy loss (nats)")
    panels[0].set_yscale("log")
    readable_log(panels[0].yaxis)
    panels[1].set_ylabel("accuracy (%)")
    made.suptitle(f"{title}: mean and standard deviation over {over_folds(curves)}", fontsize=11)
    return made


def over_folds(curves: pd.DataFrame) -> str:
    """Return how many folds learning curves are the mean of, in words: late epochs may have fewer."""
    most = curves["folds"].max()
    stopped = curves["folds"].min() < most
    return f"{most} folds" + (", late epochs over those that had not stopped" if stopped else "")


def _curve(axes: Axes, rows: pd.DataFrame, quantity: str, colour: str, style: str) -> None:
    factor = 100 if quantity == "accuracy" else 1
    mean, sd = rows[f"{quantity}_mean"] * factor, rows[f"{quantity}_sd"] * factor
    low = (mean - sd).clip(lower=mean / 10)  # a band that reached zero could not stand on a logarithmic axis
    label = str(rows["split"].iloc[0])
    axes.plot(rows["epoch"], mean, style, color=colour, marker="o", markersize=3, label=label)
    axes.fill_between(rows["epoch"], low, mean + sd, color=colour, alpha=0.2, linewidth=0)


def per_class_figure(title: str, table: pd.DataFrame) -> Figure:
    """Draw precision, recall, F1 and loss for each class: dots are means over folds, bars 95 % intervals."""
    made = figure(9.2 * max(1.0, min(table["class"].nunique(), 4 * LABELLED) / 16), 5.6)
    panels = made.subplots(2, 2, sharex=True)
    names = {"precision": "precision (%)", "recall": "recall (%)", "f1": "F1 (%)", "loss": "loss (nats)"}
    for axes, (score, label) in zip(panels.flat, names.items(), strict=True):
        factor = 1 if score == "loss" else 100
        for shift, split, colour, marker in ((-0.13, "out_of_fold", ORANGE, "o"), (0.13, "test", BLUE, "s")):
            rows = table[table["split"] == split]
            places = np.arange(len(rows))
            values = rows[score] * factor
            low, high = rows[f"{score}_low"] * factor, rows[f"{score}_high"] * factor
            reach = [
                (values - low).clip(lower=0),
                (high - values).clip(lower=0),
            ]  # of few digits the mean may lie outside
            axes.errorbar(places + shift, values, reach, color=colour, fmt=marker, ms=5, lw=1.2, label=_TITLES[split])
        plain(axes)
        axes.set_ylabel(label)
        class_ticks(axes.xaxis, list(table["class"].drop_duplicates()))
    for axes in panels[1]:
        axes.set_xlabel("class")
    made.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    made.suptitle(f"{title}: each class, mean over folds and 95 % interval for the choice of samples", fontsize=11)
    return made

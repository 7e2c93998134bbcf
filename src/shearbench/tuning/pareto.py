"""Accuracy against cost: parameters and seconds of every searched size, with the Pareto front.

The points are the finalists and the best trials of other widths from ``tuned/*.yaml``: trained in full and
cross-validated on the same samples in the same folds. The figure therefore needs no files of the search.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from shearbench.plotting.canvas import GREY, colours, figure, plain, png, readable_log
from shearbench.training.recipe import WIDTH
from shearbench.tuning.tuned import Tuned

_MARKERS = "osD^vPX*"
_COSTS = {"parameters": "parameters", "seconds": "seconds of training one fold, on the machine that searched"}


def cost_table(found: Mapping[str, Tuned]) -> pd.DataFrame:
    """Return a row for each cross-validated trial.

    ``accuracy`` is the mean over the folds and ``sd`` the standard deviation, ``seconds`` are of training one fold.
    ``front_<cost>`` is True if no other trial is cheaper and as accurate. ``found`` are models on one dataset.
    """
    rows = [
        {
            "model": model,
            "kind": kind,
            **score.model_dump(include={"trial", "parameters", "seconds", "accuracy", "sd"}),
            **score.hyperparameters,
            "size": f"{model} ×{score.hyperparameters[WIDTH]:g}" if WIDTH in score.hyperparameters else model,
            "folds": tuned.search.folds,
            "samples": tuned.search.samples_scored,
        }
        for model, tuned in found.items()
        for kind, scores in (("finalist", tuned.finalists), ("other width", tuned.sizes))
        for score in scores
        if score.accuracy is not None
    ]
    table = pd.DataFrame(rows)
    for cost in _COSTS:
        table[f"front_{cost}"] = front(table[cost], table["accuracy"])
    return table


def front(costs: Sequence[float] | pd.Series, accuracies: Sequence[float] | pd.Series) -> list[bool]:
    """Return for each point whether it is on the Pareto front of cost and accuracy."""
    points = list(zip(costs, accuracies, strict=True))
    return [
        not any(other[0] <= cost and other[1] >= accuracy and other != (cost, accuracy) for other in points)
        for cost, accuracy in points
    ]


def draw_costs(table: pd.DataFrame, dataset: str) -> bytes:
    """Return the figure: a panel for each cost, a colour and a marker for each model."""
    table = table.assign(error=100 * (1 - table["accuracy"]))
    folds, samples = table["folds"].max(), table["samples"].max()
    made = figure(10, 4.8)
    panels = made.subplots(1, 2, sharey=True)
    labels, shades = [], colours(list(dict.fromkeys(table["model"])))
    for axes, (cost, label) in zip(panels, _COSTS.items(), strict=True):
        for place, (model, own) in enumerate(table.groupby("model", sort=False)):
            style = {"fmt": _MARKERS[place % len(_MARKERS)], "color": shades[str(model)]}
            spread = 100 * own["sd"]
            axes.errorbar(own[cost], own["error"], spread, label=model, ms=6, elinewidth=0.6, alpha=0.85, **style)
        labels.append(_draw_front(axes, table[table[f"front_{cost}"]].sort_values([cost, "accuracy"]), cost))
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.margins(x=0.25)
        plain(axes)
        readable_log(axes.xaxis)
        axes.tick_params(axis="x", labelsize=8)
    panels[0].xaxis.set_major_formatter(EngFormatter(sep=""))
    _scale_of_errors(panels[0])
    made.suptitle(
        f"{dataset}: mean ± standard deviation over {folds} folds of the tuning part, n = {samples} samples",
        fontsize=10,
    )
    handles, names = panels[0].get_legend_handles_labels()
    made.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=9)
    made.draw_without_rendering()  # the size of a label is known only after drawing
    for own_labels in labels:
        _separate(own_labels)
    return png(made)


def _scale_of_errors(axes: Axes) -> None:
    """Scale the axis by the logarithm of the error, so that a model that fails does not compress the others."""
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("accuracy, %, on a log scale of the errors")


def _draw_front(axes: Axes, best: pd.DataFrame, cost: str) -> list[Annotation]:
    axes.step(
        best[cost], best["error"], where="post", color=GREY, linewidth=1, zorder=1, label="none is cheaper and better"
    )
    return [
        axes.annotate(
            row["size"],
            (row[cost], row["error"]),
            xytext=(-4, 6),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
        for _, row in best.iterrows()
    ]


def _separate(labels: Sequence[Annotation]) -> None:
    """Move labels up until none overlaps an earlier one."""
    taken: list[Bbox] = []
    for label in labels:
        while any(label.get_window_extent().overlaps(box) for box in taken):
            right, up = label.xyann
            label.xyann = (right, up + 3)
        taken.append(label.get_window_extent())

"""Accuracy against cost: parameters and seconds of every searched size, with the Pareto front.

The points are the finalists and the best trials of other widths from ``tuned/*.yaml``: trained in full and
cross-validated on the same samples in the same folds. The figure therefore needs no files of the search.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from shearbench.plotting.canvas import GREY, PALETTE, figure, plain, png, readable_log
from shearbench.training.space import WIDTH, Hyperparameters
from shearbench.tuning.tuned import Tuned

_MARKERS = "osD^vPX*"
_COSTS = {"parameters": "weights", "seconds": "seconds of training one fold, on the machine that searched"}


def cost_table(found: Mapping[str, Tuned]) -> pd.DataFrame:
    """Return a row for each cross-validated trial.

    ``accuracy`` is the mean over the folds and ``sd`` the standard deviation, ``seconds`` are of training one fold.
    ``front_<cost>`` is True if no other trial is cheaper and as accurate.

    Args:
        found: model -> search result, on one dataset.
    """
    rows = [
        {
            "model": model,
            "kind": kind,
            **score.model_dump(include={"trial", "parameters", "seconds", "accuracy", "sd"}),
            **score.hyperparameters,
            "network": _model_with_width(model, score.hyperparameters),
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


def _model_with_width(model: str, point: Hyperparameters) -> str:
    return f"{model} ×{point[WIDTH]:g}" if WIDTH in point else model


def front(costs: Sequence[float] | pd.Series, accuracies: Sequence[float] | pd.Series) -> list[bool]:
    """Return for each point whether it is on the Pareto front of cost and accuracy."""
    pairs = list(zip(costs, accuracies, strict=True))
    return [
        not any(
            (other_cost <= cost and other > accuracy) or (other_cost < cost and other >= accuracy)
            for other_cost, other in pairs
        )
        for cost, accuracy in pairs
    ]


def draw_costs(table: pd.DataFrame, dataset: str) -> bytes:
    """Return the figure: a panel for each cost, a colour and a marker for each model."""
    models = list(dict.fromkeys(table["model"]))
    made = figure(10, 4.8)
    panels = made.subplots(1, 2, sharey=True)
    labels: dict[str, list[Annotation]] = {}
    for axes, (cost, label) in zip(panels, _COSTS.items(), strict=True):
        for place, model in enumerate(models):
            _draw_model(axes, table[table["model"] == model], cost, place)
        labels[cost] = _draw_front(axes, table[table[f"front_{cost}"]].sort_values([cost, "accuracy"]), cost)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.margins(x=0.25)
        plain(axes)
        readable_log(axes.xaxis)
        axes.tick_params(axis="x", labelsize=8)
    panels[0].xaxis.set_major_formatter(EngFormatter(sep=""))
    _scale_of_errors(panels[0])
    made.suptitle(_title(dataset, table), fontsize=10)
    made.legend(handles=_legend(models), loc="outside lower center", ncols=len(models) + 1, frameon=False, fontsize=9)
    made.draw_without_rendering()  # the size of a label is known only after drawing
    for own in labels.values():
        _separate(own)
    return png(made)


def _title(dataset: str, table: pd.DataFrame) -> str:
    folds, samples = int(table["folds"].max()), int(table["samples"].max())
    return f"{dataset}: mean ± standard deviation over {folds} folds of the tuning part, n = {samples} digits"


def _scale_of_errors(axes: Axes) -> None:
    """Scale the axis by the logarithm of the error, so that a model that fails does not compress the others."""
    axes.set_yscale("log")
    axes.invert_yaxis()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{100 - error:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylabel("accuracy, %, on a log scale of the errors")


def _draw_model(axes: Axes, own: pd.DataFrame, cost: str, place: int) -> None:
    axes.errorbar(
        own[cost],
        100 * (1 - own["accuracy"]),
        100 * own["sd"],
        fmt=_MARKERS[place % len(_MARKERS)],
        color=PALETTE[place % len(PALETTE)],
        markersize=6,
        elinewidth=0.6,
        alpha=0.85,
    )


def _draw_front(axes: Axes, best: pd.DataFrame, cost: str) -> list[Annotation]:
    axes.step(best[cost], 100 * (1 - best["accuracy"]), where="post", color=GREY, linewidth=1, zorder=1)
    return [
        axes.annotate(
            row["network"],
            (row[cost], 100 * (1 - row["accuracy"])),
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


def _legend(models: Sequence[str]) -> list[Line2D]:
    entries = [
        Line2D(
            [], [], marker=_MARKERS[k % len(_MARKERS)], linestyle="none", color=PALETTE[k % len(PALETTE)], label=model
        )
        for k, model in enumerate(models)
    ]
    return [*entries, Line2D([], [], color=GREY, label="none is cheaper and better")]

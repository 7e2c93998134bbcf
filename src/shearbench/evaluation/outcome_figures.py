"""The pictures of an experiment: accuracies in each way of reading, lag of the running averages, gradient norms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.evaluation.canvas import PALETTE, figure, plain, readable_log
from shearbench.evaluation.outcome import DURING_TRAINING
from shearbench.evaluation.ways import AS_TRAINED, BATCH, RECALIBRATED

_SHOWN: Mapping[tuple[str, str], tuple[str, str, str]] = {  # (split, way) -> label, colour, marker
    ("train", DURING_TRAINING): ("training digits, training mode", PALETTE[0], "o"),
    ("train", AS_TRAINED): ("training digits, evaluation mode", PALETTE[5], "s"),
    ("test", AS_TRAINED): ("test digits", PALETTE[1], "D"),
    ("test", BATCH): ("test digits, batch statistics", PALETTE[2], "^"),
    ("test", RECALIBRATED): ("test digits, recalibrated", PALETTE[3], "v"),
}
_STEP = 0.15  # between the marks of one dataset


def accuracy_figure(title: str, table: pd.DataFrame, folds: pd.DataFrame) -> Figure:
    """Draw mean and 95 % interval over the folds, and a dot a fold; a panel a network, a group a dataset."""
    models, datasets = list(dict.fromkeys(table["model"])), list(dict.fromkeys(table["dataset"]))
    made = figure(9, 1.1 + (0.35 + 0.42 * len(datasets)) * len(models))
    panels = np.atleast_1d(made.subplots(len(models), 1, sharex=True))
    for panel, model in zip(panels, models, strict=True):
        own, dots = table[table["model"] == model], folds[folds["model"] == model]
        for place, ((split, way), look) in enumerate(_SHOWN.items()):
            _marks(panel, own, dots, datasets=datasets, shown=(split, way), look=look, offset=(place - 2) * _STEP)
        panel.set_yticks(range(len(datasets)), datasets)
        panel.set_ylim(len(datasets) - 0.5, -0.5)
        panel.set_title(model, loc="left", fontsize=10)
        plain(panel)
    panels[-1].set_xlim(-2, 102)
    panels[-1].set_xlabel(
        "accuracy in %: mean and 95 % interval (corrected resampled t) over the folds; dots are folds"
    )
    made.suptitle(title, fontsize=11)
    _legend(made, list(panels))
    return made


def _marks(
    panel: Axes,
    table: pd.DataFrame,
    folds: pd.DataFrame,
    *,
    datasets: Sequence[str],
    shown: tuple[str, str],
    look: tuple[str, str, str],
    offset: float,
) -> None:
    """Draw one (split, way) of a network on every dataset."""
    label, colour, marker = look
    rows, dots = (each[(each["split"] == shown[0]) & (each["way"] == shown[1])] for each in (table, folds))
    if rows.empty:
        return
    place = {name: number + offset for number, name in enumerate(datasets)}
    y, mean = rows["dataset"].map(place), 100 * rows["mean"]
    reach = [mean - 100 * rows["low"], 100 * rows["high"] - mean]
    panel.errorbar(mean, y, xerr=reach, label=label, color=colour, fmt=marker, markersize=5, elinewidth=1.2, capsize=2)
    panel.scatter(100 * dots["accuracy"], dots["dataset"].map(place), s=6, color=colour, alpha=0.5, linewidths=0)


def lags_figure(title: str, lags: pd.DataFrame) -> Figure:
    """Draw how far each layer's running averages are behind, a row a layer and a column an epoch, a panel a cell."""
    cells = list(dict.fromkeys(zip(lags["dataset"], lags["model"], strict=True)))
    layers = list(dict.fromkeys(lags["layer"]))
    made = figure(max(8.0, 1.6 + 1.5 * len(cells)), 1.6 + 0.4 * len(layers))
    panels = made.subplots(2, len(cells), sharey=True, squeeze=False)
    kinds = (
        ("mean", "shift of the mean, in deviations", "viridis", 0.0, 2.0),
        ("deviation", "running / present deviation, log2", "coolwarm", -3.0, 3.0),
    )
    for row, (column, label, colours, low, high) in zip(panels, kinds, strict=True):
        for panel, (dataset, model) in zip(row, cells, strict=True):
            own = lags[(lags["dataset"] == dataset) & (lags["model"] == model)]
            values = own.pivot(index="layer", columns="epoch", values=column).loc[layers]
            shown = np.log2(values) if column == "deviation" else values
            drawn = panel.imshow(shown, aspect="auto", cmap=colours, vmin=low, vmax=high)
            panel.set_xticks(*_few(values.columns))
            panel.set_yticks(range(len(layers)), layers, fontsize=6)
            panel.set_title(f"{dataset.removeprefix('mechanical_')}\n{model}", fontsize=8)
        made.colorbar(drawn, ax=list(row), label=label, extend="max" if low == 0 else "both", shrink=0.8)
    for panel in panels[-1]:
        panel.set_xlabel("epoch", fontsize=8)
    made.suptitle(title, fontsize=11)
    return made


def _few(epochs: pd.Index) -> tuple[list[int], list[str]]:
    """Return places and labels of at most four epochs."""
    step = -(-len(epochs) // 4)
    places = list(range(0, len(epochs), step))
    return places, [str(epochs[place]) for place in places]


def gradients_figure(title: str, gradients: pd.DataFrame) -> Figure:
    """Draw the norm of the gradient at every step, the mean over the folds; a panel a network, a line a dataset."""
    models, datasets = list(dict.fromkeys(gradients["model"])), list(dict.fromkeys(gradients["dataset"]))
    made = figure(9, 1.0 + 2.2 * len(models))
    panels = np.atleast_1d(made.subplots(len(models), 1, sharex=True, sharey=True))
    for panel, model in zip(panels, models, strict=True):
        for dataset, colour in zip(datasets, PALETTE, strict=False):
            own = gradients[(gradients["dataset"] == dataset) & (gradients["model"] == model)]
            panel.plot(np.arange(1, len(own) + 1), own["norm"], color=colour, linewidth=0.9, label=dataset)
        panel.set_yscale("log")
        readable_log(panel.yaxis)
        panel.set_ylabel("norm of the gradient")
        panel.set_title(model, loc="left", fontsize=10)
        plain(panel)
    panels[-1].set_xlabel("step")
    made.suptitle(title, fontsize=11)
    _legend(made, list(panels))
    return made


def _legend(made: Figure, panels: Sequence[Axes]) -> None:
    """Write one legend below all panels."""
    by_label: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        by_label |= dict(zip(labels, handles, strict=True))
    below: Any = "outside lower center"
    made.legend(list(by_label.values()), list(by_label), loc=below, ncols=3, frameon=False, fontsize=8)

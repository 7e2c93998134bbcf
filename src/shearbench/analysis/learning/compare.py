"""Compare learning curves across datasets: curves, a table of dynamics, and accuracy by mode.

The accuracy on the training samples differs during and after training. Dropout and augmentation lower the first, the
last steps of an epoch raise the second, and the running averages of batch normalisation can lower the second by much.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.plotting import canvas
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.scores import over_folds
from shearbench.predictions.evaluated import EvaluatedRuns

_STYLES = {"train": "--", "validation": "-"}


def dynamics(evaluated: EvaluatedRuns) -> Files:
    """Return the learning curves of all runs, the table of their dynamics and their accuracy by mode."""
    curves, networks = evaluated.gathered("learning_curves.csv"), evaluated.gathered("training_dynamics.csv")
    return {
        "learning_curves.csv": table(curves),
        "training_dynamics.csv": table(summary(networks)),
        "figures/learning_curves.png": picture(curves_figure(evaluated, curves)),
        "figures/accuracy_by_mode.png": picture(mode_figure(networks)),
    }


def summary(networks: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run: mean and standard deviation over its networks, by column of ``training_dynamics.csv``.

    ``reached_low_loss`` counts the networks with a training loss below 0.1; the mean of ``epochs_to_low_loss`` is
    over those. ``mode_gap`` is ``train_accuracy_when_evaluated`` - ``train_accuracy_while_training``.
    """
    gap = networks["train_accuracy_when_evaluated"] - networks["train_accuracy_while_training"]
    measured = networks.drop(columns="fold").assign(mode_gap=gap)
    groups = measured.groupby(["dataset", "model"], sort=False)
    moments = groups.agg(["mean", "std"])
    moments.columns = [f"{name}_{part}" for name in measured.columns[2:] for part in ("mean", "sd")]
    moments.insert(0, "networks", groups.size())
    moments.insert(1, "reached_low_loss", groups["epochs_to_low_loss"].count())
    return moments.reset_index()


def curves_figure(evaluated: EvaluatedRuns, curves: pd.DataFrame) -> Figure:
    """Draw loss above accuracy, a column per model, a colour per dataset: mean and deviation over the folds."""
    models, colour = evaluated.models, canvas.colours(evaluated.datasets, canvas.OF_DATASETS)
    made = canvas.figure(3.1 * len(models) + 0.8, 6.4)
    grid = made.subplots(2, len(models), squeeze=False, sharey="row", sharex="col")
    for column, model in enumerate(models):
        grid[0, column].set_title(model, fontsize=11)
        grid[1, column].set_xlabel("epoch")
        for run in evaluated.of_model(model):
            rows = curves[(curves["model"] == model) & (curves["dataset"] == run.dataset)]
            _curves(list(grid[:, column]), rows, colour[run.dataset])
    for axes in grid.flat:
        canvas.plain(axes)
        axes.xaxis.get_major_locator().set_params(integer=True)
    canvas.readable_log(grid[0, 0].yaxis)
    grid[0, 0].set_ylabel("cross-entropy loss (nats)")
    grid[1, 0].set_ylabel("accuracy (%)")
    handles = [canvas.entry(name, colour[name]) for name in evaluated.datasets]
    handles += [canvas.entry(split, ls=style) for split, style in _STYLES.items()]
    canvas.headed(made, f"Mean and standard deviation over {over_folds(curves)}", handles)
    return made


def _curves(panels: Sequence[Axes], rows: pd.DataFrame, colour: str) -> None:
    for axes, quantity, factor in zip(panels, ("loss", "accuracy"), (1, 100), strict=True):
        if quantity == "loss":
            axes.set_yscale("log")
        for split, style in _STYLES.items():
            part = rows[rows["split"] == split]
            mean, sd = factor * part[f"{quantity}_mean"], factor * part[f"{quantity}_sd"]
            low = (mean - sd).clip(lower=mean / 10)  # a logarithmic axis cannot show a band that reaches zero
            canvas.band(axes, colour, part["epoch"], mean, low, mean + sd, alpha=0.18, ls=style, lw=1.5)


def mode_figure(networks: pd.DataFrame) -> Figure:
    """Draw accuracy on the training samples while training and when evaluated, and on held-out samples, by run.

    A small marker is a network, a large one the mean of a run.
    """
    runs = list(networks.groupby(["dataset", "model"], sort=False))
    made = canvas.figure(8.5, 0.42 * len(runs) + 1.5)
    axes = made.subplots()
    kinds = {
        "train_accuracy_while_training": ("training samples, while training", canvas.ORANGE, "o", "none"),
        "train_accuracy_when_evaluated": ("training samples, when evaluated", canvas.ORANGE, "o", canvas.ORANGE),
        "validation_accuracy": ("held-out samples, when evaluated", canvas.BLUE, "s", canvas.BLUE),
    }
    for row, (_, group) in enumerate(runs):
        for shift, (name, (_, edge, marker, face)) in zip((-0.2, 0, 0.2), kinds.items(), strict=True):
            values = 100 * group[name].to_numpy()
            axes.scatter(values, np.full(len(values), row + shift), 9, marker=marker, c=edge, alpha=0.45, lw=0)
            axes.scatter(values.mean(), row + shift, 46, marker=marker, facecolor=face, edgecolor=edge, lw=1.6)
    canvas.plain(axes)
    axes.set_yticks(range(len(runs)), [f"{model} on {dataset}" for (dataset, model), _ in runs])
    axes.set_ylim(len(runs) - 0.5, -0.5)
    axes.set_xlabel(f"accuracy (%) of the best weights; small: one of {len(runs[0][1])} networks, large: their mean")
    handles = [
        canvas.entry(label, ls="", marker=marker, ms=7, markeredgecolor=edge, markerfacecolor=face)
        for label, edge, marker, face in kinds.values()
    ]
    made.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return made

"""Compare accuracy under Gaussian noise across datasets."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.plotting.canvas import accuracy_axis, band, colours, entry, figure, headed
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.evaluated import EvaluatedRuns


def noise(evaluated: EvaluatedRuns) -> Files:
    """Return ``noise.csv`` of all runs, with columns ``dataset`` and ``model`` first, and its figure."""
    rows = evaluated.gathered("noise.csv")
    return {"noise.csv": table(rows), "figures/noise.png": picture(noise_figure(evaluated, rows))}


def noise_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw a column per dataset, a colour per model: above in units of the input's deviation, below in raw units."""
    colour = colours(evaluated.palette)
    made = figure(3.6 * len(evaluated.datasets) + 0.8, 6.9)
    grid = made.subplots(2, len(evaluated.datasets), squeeze=False, sharey=True)
    for column, dataset in enumerate(evaluated.datasets):
        of_dataset = rows[rows["dataset"] == dataset]
        grid[0, column].set_title(dataset, fontsize=11)
        for axes, scale in zip(grid[:, column], ("own", "raw"), strict=True):
            part = of_dataset[of_dataset["scale"] == scale]
            for model in part["model"].unique():
                _line(axes, part[part["model"] == model], colour[model])
            accuracy_axis(axes, evaluated.guessing(dataset))
            levels = np.unique(part["level"].to_numpy())
            axes.set_xticks(_places(levels), [f"{level:g}" for level in levels])
        unit = "pixels of displacement" if "load" in evaluated.entry(dataset) else "share of the grey scale"
        grid[0, column].set_xlabel("noise / deviation between samples")
        grid[1, column].set_xlabel(f"noise, {unit}")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (%)")
    handles = [entry(model, colour[model], marker="o", ms=4) for model in evaluated.models]
    title = (
        f"Unclipped Gaussian noise on {int(rows['n'].min())} test samples:\n"
        f"mean and standard deviation over {int(rows['readings'].max())} evaluations (networks x draws of noise)"
    )
    headed(made, title, [*handles, entry("guessing", ls=":")])
    return made


def _line(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    x = _places(rows["level"].to_numpy())
    mean, sd = 100 * rows["accuracy_mean"], 100 * rows["accuracy_sd"]
    low, high = (mean - sd).clip(lower=0), (mean + sd).clip(upper=100)
    band(axes, colour, x, mean, low, high, alpha=0.18, marker="o", ms=4, lw=1.5)


def _places(levels: np.ndarray) -> np.ndarray:
    """Return the positions of levels on a logarithmic axis; no noise is one doubling below the smallest level."""
    least = levels[levels > 0].min()
    return np.log2(np.where(levels > 0, levels, least / 2))

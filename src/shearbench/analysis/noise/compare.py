"""Compare accuracy under Gaussian noise across datasets."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from shearbench.plotting.canvas import GREY, colours, figure, headed, plain
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
            _axis(axes, np.unique(part["level"].to_numpy()), evaluated.guessing(dataset))
        unit = "pixels of displacement" if "load" in evaluated.entry(dataset) else "share of the grey scale"
        grid[0, column].set_xlabel("noise / deviation between digits")
        grid[1, column].set_xlabel(f"noise, {unit}")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (%)")
    handles = [Line2D([], [], color=colour[model], marker="o", ms=4, label=model) for model in evaluated.models]
    handles.append(Line2D([], [], color=GREY, ls=":", label="guessing"))
    readings, samples = int(rows["readings"].max()), int(rows["n"].min())
    headed(
        made,
        f"Unclipped Gaussian noise on {samples} test digits:\n"
        f"mean and standard deviation over {readings} readings (networks x draws of noise)",
        handles,
    )
    return made


def _line(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    x = _places(rows["level"].to_numpy())
    mean, sd = 100 * rows["accuracy_mean"], 100 * rows["accuracy_sd"]
    axes.plot(x, mean, color=colour, marker="o", ms=4, lw=1.5)
    axes.fill_between(x, (mean - sd).clip(lower=0), (mean + sd).clip(upper=100), color=colour, alpha=0.18, lw=0)


def _axis(axes: Axes, levels: np.ndarray, guessing: float) -> None:
    plain(axes)
    axes.axhline(guessing, color=GREY, ls=":", lw=1)
    axes.set_ylim(0, 102)
    axes.set_xticks(_places(levels), [f"{level:g}" for level in levels])


def _places(levels: np.ndarray) -> np.ndarray:
    """Return the positions of levels on a logarithmic axis; no noise is one doubling below the smallest level."""
    least = levels[levels > 0].min()
    return np.log2(np.where(levels > 0, levels, least / 2))

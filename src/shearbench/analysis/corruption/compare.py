"""Compare runs under corruptions: accuracy at each severity, corrupted samples, and the mean corruption error.
Source of the error: Hendrycks and Dietterich, ICLR 2019. The corruption error of a network is its error summed over the
severities of a corruption, relative to that of a baseline network on the same samples; its mean over the corruptions is
the mean corruption error (mCE). The source uses AlexNet as baseline; here it is the model ``mlp`` of the same
dataset: 100 % is as fragile as the baseline.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

from shearbench.analysis.corruption.corruptions import (
    CLEAN,
    SEVERITIES,
    Corruption,
    corrupt,
    corruptions_of,
    grey_ends,
    grey_scale,
)
from shearbench.data.dataset import Dataset
from shearbench.data.trend import homogeneous_field
from shearbench.plotting.canvas import accuracy_axis, accuracy_band, band, colours, entry, figure, headed
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.plotting.tiles import coloured, draw_coloured, sheet, visible
from shearbench.predictions.evaluated import EvaluatedRuns
from shearbench.seeds import generator_for

BASELINE = "mlp"
Errors = NDArray[np.float64]
"""Error, (networks, corruptions): the sum over the severities."""


def corruption(evaluated: EvaluatedRuns) -> Files:
    """Return ``corruptions.csv`` of all runs, ``corruption_error.csv``, and two figures per dataset."""
    rows, errors = evaluated.gathered("corruptions.csv"), evaluated.gathered("corruption_errors.csv")
    files: dict[str, Writer] = {
        "corruptions.csv": table(rows),
        "corruption_error.csv": table(corruption_error(errors)),
    }
    for dataset in evaluated.datasets:
        of_dataset = rows[rows["dataset"] == dataset]
        files[f"figures/corruption_{dataset}.png"] = picture(severity_figure(evaluated, dataset, of_dataset))
        files[f"figures/corruption_samples_{dataset}.png"] = picture(samples_figure(evaluated, dataset))
    return files


def corruption_error(errors: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run and corruption, and one per run for the mean over all corruptions, ``all``.

    Columns: ``dataset, model, corruption, networks, samples, clean_error, error`` (mean over the severities),
    ``baseline, relative, low, high``: the corruption error or its mean, as a fraction, with the 95 % interval of the
    jackknife over the networks. Without the baseline on a dataset these are empty.
    """
    rows = []
    for dataset, of_dataset in errors.groupby("dataset", sort=False):
        parts = dict(list(of_dataset.groupby("model", sort=False)))
        sums = {model: _sums(part) for model, part in parts.items()}
        for model, part in parts.items():
            clean = part[part["corruption"] == CLEAN]
            facts = {
                "dataset": dataset,
                "model": model,
                "networks": len(clean),
                "samples": int(clean["n"].sum()),
                "clean_error": float(clean["errors"].sum() / clean["n"].sum()),
            }
            names, values = sums[model]
            base = sums[BASELINE][1] if BASELINE in sums else None
            for place, name in enumerate([*names, "all"]):
                chosen = list(range(len(names))) if name == "all" else [place]
                error = float(values[:, chosen].mean() / SEVERITIES)
                relative = relative_error(values, base, chosen) if base is not None else (np.nan,) * 3
                numbers = dict(zip(("relative", "low", "high"), relative, strict=True))
                rows.append({**facts, "corruption": name, "error": error, "baseline": BASELINE, **numbers})
    return pd.DataFrame(rows)


def relative_error(errors: Errors, baseline: Errors, chosen: Sequence[int]) -> tuple[float, float, float]:
    """Return the mean over the ``chosen`` corruptions of error / error of the baseline, and its interval.

    Errors are summed over the networks first: the ratio of sums has less bias than the mean of ratios. The interval is
    Student's t about it with the standard error of the jackknife, which leaves out one fold of both at a time (Efron
    and Stein, 1981); a baseline without any error has no ratio (NaN).
    """

    def ratio(used: list[int]) -> float:
        below = baseline[used][:, chosen].sum(axis=0)
        return float((errors[used][:, chosen].sum(axis=0) / below).mean()) if below.all() else np.nan

    folds = list(range(len(errors)))
    estimate = ratio(folds)
    left = np.array([ratio([other for other in folds if other != fold]) for fold in folds])
    error = sqrt((len(folds) - 1) / len(folds) * float(((left - left.mean()) ** 2).sum()))
    reach = float(stats.t.isf(0.025, len(folds) - 1)) * error
    return estimate, estimate - reach, estimate + reach


def _sums(rows: pd.DataFrame) -> tuple[list[str], Errors]:
    """Return the corruptions and, for each network and corruption, its error summed over the severities."""
    corrupted = rows[rows["corruption"] != CLEAN].assign(share=lambda part: part["errors"] / part["n"])
    names = list(corrupted["corruption"].unique())
    return names, corrupted.pivot_table("share", "fold", "corruption", aggfunc="sum")[names].to_numpy()


def severity_figure(evaluated: EvaluatedRuns, dataset: str, rows: pd.DataFrame) -> Figure:
    """Draw one panel per corruption: accuracy of every model against the severity, with Wilson's interval."""
    colour, names = colours(evaluated.palette), [name for name in rows["corruption"].unique() if name != CLEAN]
    clean = rows[rows["corruption"] == CLEAN]
    across, down = 3, -(-len(names) // 3)
    made = figure(3.3 * across + 1.3, 2.7 * down + 0.8)
    grid = made.subplots(down, across, squeeze=False, sharey=True)
    for axes, name in zip(grid.flat, names, strict=False):
        of_name = rows[rows["corruption"] == name]
        for model in of_name["model"].unique():
            line = pd.concat([clean[clean["model"] == model], of_name[of_name["model"] == model]])
            accuracy_band(axes, colour[model], line["severity"], line, marker="o", ms=3.5, lw=1.4)
        accuracy_axis(axes, evaluated.guessing(dataset))
        values = of_name.drop_duplicates("severity")["value"]
        axes.set_xticks(range(SEVERITIES + 1), ["none", *(f"{value:g}" for value in values)])
        axes.set_xlabel(str(of_name["measure"].iloc[0]))
        axes.set_title(name, fontsize=10)
    for axes in grid.flat[len(names) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (%)")
    present = [model for model in evaluated.models if model in set(rows["model"])]
    networks, samples = rows["readings"].max(), rows["n"].min()
    title = f"{dataset}: mean over {networks} networks and Wilson's 95 % interval for {samples} samples"
    handles = [entry(model, colour[model], marker="o", ms=4) for model in present]
    headed(made, title, [*handles, entry("guessing", ls=":")])
    return made


def samples_figure(evaluated: EvaluatedRuns, dataset: str) -> Figure:
    """Draw one sample under every corruption and severity; for a field, u_x minus that of the empty block.

    The sample has the lowest id of class number 7, or of the last class if there are fewer.
    """
    entry, data = evaluated.entry(dataset), evaluated.data(dataset, "test")
    of_class = np.flatnonzero(data.labels == min(7, int(data.labels.max())))
    row, kinds = of_class[data.ids[of_class].argmin()], corruptions_of(entry)
    tiles = np.stack([_shown(data, row, name, kind, entry) for name, kind in kinds.items()])
    if "load" in entry:
        tiles = tiles - homogeneous_field(entry["load"], entry["step"], data.size)[0]
        largest = 3 * float(np.abs(tiles[0, 0]).max())
        shades = coloured(tiles, "RdBu_r", -largest, largest)
    else:
        largest = grey_scale(data.inputs)
        shades = tiles / largest if tiles.ndim == 5 else coloured(tiles, "gray_r", 0, largest)
    made = sheet(len(kinds), SEVERITIES + 1, beside=2.5, above=0.9)
    notes = [["as it is", *(f"{value:g}" for value in kind.values)] for kind in kinds.values()]
    names = [f"{name}\n{kind.measure}".replace(", ", ",\n") for name, kind in kinds.items()]
    draw_coloured(made.subplots(), shades, names, notes)
    made.suptitle(f"{dataset}: test sample {data.ids[row]} as it is, and at severities 1 to 5", fontsize=11)
    if "load" in entry:
        made.supxlabel(f"$u_x$ less that of the empty block: blue -{largest:.2g}, red {largest:.2g} pixels", fontsize=9)
    return made


def _shown(data: Dataset, row: int, name: str, kind: Corruption, entry: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return one sample as it is and at each severity, (6, h, w), or (6, h, w, 3) in colour."""
    sample, ends = data.inputs[[row]], grey_ends(data.inputs)
    made = [
        corrupt(sample, kind, level, entry, generator_for("samples", name), ends=ends)
        for level in range(1, SEVERITIES + 1)
    ]
    first = slice(1) if "load" in entry else slice(None)
    return np.concatenate([visible(each[:, first]).astype(np.float64) for each in (sample, *made)])


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
                _noise_line(axes, part[part["model"] == model], colour[model])
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


def _noise_line(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    x = _places(rows["level"].to_numpy())
    mean, sd = 100 * rows["accuracy_mean"], 100 * rows["accuracy_sd"]
    low, high = (mean - sd).clip(lower=0), (mean + sd).clip(upper=100)
    band(axes, colour, x, mean, low, high, alpha=0.18, marker="o", ms=4, lw=1.5)


def _places(levels: np.ndarray) -> np.ndarray:
    """Return the positions of levels on a logarithmic axis; no noise is one doubling below the smallest level."""
    least = levels[levels > 0].min()
    return np.log2(np.where(levels > 0, levels, least / 2))

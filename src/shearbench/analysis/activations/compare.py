"""Compare what layers compute: t-SNE and class separation of the penultimate layer, feature maps of one sample."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import bare, entry, figure, headed, shortened
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.tiles import coloured, draw_coloured, enlarged, sheet
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

# After Tol's muted scheme and grey, without its dark shades: each stands out from white and from the report's dark
# page. Labels name the class as well.
COLOURS = (
    *("#5F5ACD", "#88CCEE", "#44AA99", "#228B45", "#999933"),
    *("#DDCC77", "#CC6677", "#B03070", "#AA4499", "#757575"),
)


def embedding(evaluated: EvaluatedRuns) -> Files:
    """Return ``embedding.csv``, one row per run and space, and the figure.

    Columns: ``dataset, model, space, n, networks``, then mean and standard deviation over the networks of
    ``silhouette`` and ``purity``, computed in that space.
    """
    rows = summary(evaluated.gathered("embedding.csv"))
    return {"embedding.csv": table(rows), "figures/embedding.png": picture(embedding_figure(evaluated, rows))}


def summary(networks: pd.DataFrame) -> pd.DataFrame:
    """Return mean and standard deviation of silhouette and purity over the networks of each run and space."""
    groups = networks.groupby(["dataset", "model", "space"], sort=False)
    moments = groups[["silhouette", "purity"]].agg(["mean", "std"])
    moments.columns = ["silhouette_mean", "silhouette_sd", "purity_mean", "purity_sd"]
    moments.insert(0, "networks", groups.size())
    moments.insert(0, "n", groups["n"].first())
    return moments.reset_index()


def embedding_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw a row per model and a column per dataset: t-SNE of the first fold's network, and the means of all."""
    models, datasets = evaluated.models, evaluated.datasets
    made = figure(4.0 * len(datasets) + 0.9, 3.9 * len(models) + 0.8)
    grid = made.subplots(len(models), len(datasets), squeeze=False)
    for axes in grid.flat:
        bare(axes)
    penultimate = rows[rows["space"] == "penultimate"].to_dict("records")
    numbers = {(row["dataset"], row["model"]): row for row in penultimate}
    for run in evaluated.runs:
        axes = grid[models.index(run.model), datasets.index(run.dataset)]
        _points(axes, run)
        found = numbers[run.dataset, run.model]
        text = [f"{name} {found[f'{name}_mean']:.2f} ± {found[f'{name}_sd']:.2f}" for name in ("silhouette", "purity")]
        axes.set_title(f"{run.model} on {run.dataset}\n{', '.join(text)}", fontsize=9)
    classes = evaluated.classes(datasets[0])
    if len(classes) <= len(COLOURS) and all(evaluated.classes(name) == classes for name in datasets):
        named = [entry(shortened(name), _colour(label), ls="", marker="o") for label, name in enumerate(classes)]
        made.legend(handles=named, loc="outside right center", frameon=False, title="class")
    headed(
        made,
        f"t-SNE of the penultimate layer, fold 0, the same {rows['n'].min()} test samples everywhere.\n"
        f"The numbers are computed in that layer itself, mean ± sd over {rows['networks'].max()} networks.",
    )
    return made


_NAMED = 12
"""The most classes that are named among their points; more names would cover them."""


def _colour(label: int) -> str:
    """Return the colour of a class; beyond ten classes colours repeat, and the names tell them apart."""
    return COLOURS[label % len(COLOURS)]


def _points(axes: Axes, run: EvaluatedRun) -> None:
    """Draw each sample in the colour of its class, and the class at the median of its samples."""
    arrays = run.arrays("embedding.npz")
    places, labels = arrays["places"], arrays["labels"]
    axes.scatter(places[:, 0], places[:, 1], s=7, c=[_colour(label) for label in labels], lw=0, alpha=0.8)
    names = run.record["classes"]
    for label, name in enumerate(names if len(names) <= _NAMED else ()):
        if (labels == label).any():
            x, y = np.median(places[labels == label], axis=0)
            box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": _colour(label), "alpha": 0.85}
            axes.text(x, y, shortened(name), ha="center", va="center", fontsize=8, bbox=box)
    axes.set_aspect("equal", adjustable="datalim")


_LEGEND = (
    "Output of the convolutions, signed: blue below zero, red above, white zero, one scale per layer. The channels\n"
    "with the largest variance over the picture; channels of different networks do not correspond."
)


def feature_maps(evaluated: EvaluatedRuns) -> Files:
    """Return a figure of each model that has convolutions."""
    return {
        f"figures/feature_maps_{model}.png": picture(feature_figure(model, runs))
        for model in evaluated.models
        if (runs := [run for run in evaluated.of_model(model) if not _facts(run)["skipped"]])
    }


def feature_figure(model: str, runs: Sequence[EvaluatedRun]) -> Figure:
    """Draw a block per dataset: the normalised sample, and below it the maps of each layer."""
    facts = _facts(runs[0])
    width = max(len(layer["shown"]) for run in runs for layer in _facts(run)["layers"])
    made = sheet(1 + len(facts["layers"]), width, beside=1.0, above=1.1, blocks=len(runs))
    panels = made.subplots(1, len(runs), squeeze=False)[0]
    for axes, run in zip(panels, runs, strict=True):
        _block(axes, run, width)
    title = f"{model}, fold 0: the same {facts['class']} (test sample {facts['id']}) on each dataset"
    made.suptitle(title, fontsize=11)
    made.supxlabel(_LEGEND, fontsize=9)
    return made


def _block(axes: Axes, run: EvaluatedRun, width: int) -> None:
    arrays, layers = run.arrays("feature_maps.npz"), _facts(run)["layers"]
    names, tiles = ["seen"], [_row(arrays["seen"], width)]
    channels = ["$u_x$", "$u_y$"] if "load" in run.record["entry"] else ["image"] * len(arrays["seen"])
    notes = [channels]
    for place, layer in enumerate(layers):
        maps = arrays[f"maps-{place}"]
        height, across = layer["resolution"]
        names.append(f"{layer['name']}\n{height} x {across}\n{len(maps)} of {layer['channels']}")
        notes.append([str(channel) for channel in layer["shown"]])
        tiles.append(_row(maps, width))
    draw_coloured(axes, np.stack(tiles), names, notes)
    axes.set_title(run.dataset, fontsize=10)


def _row(maps: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Return maps (n, h, w) on one scale, zero white, as (width, 28, 28, 3), padded with NaN."""
    largest = float(np.abs(maps).max()) or 1.0
    shades = coloured(enlarged(maps), "RdBu_r", -largest, largest)
    return np.concatenate([shades, np.full((width - len(maps), *shades.shape[1:]), np.nan)])


def _facts(run: EvaluatedRun) -> dict[str, Any]:
    facts: dict[str, Any] = run.record["measurements"]["feature_maps"]
    return facts

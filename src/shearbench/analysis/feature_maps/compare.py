"""Compare the feature maps of one sample: each network on every dataset."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.files import Files, picture
from shearbench.plotting.tiles import coloured, draw_coloured, enlarged, sheet
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

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

"""What the successive convolutions make of one digit: each network on every dataset, side by side."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from shearbench.evaluation.canvas import bare, figure
from shearbench.evaluation.files import Files, picture
from shearbench.evaluation.suite import EvaluatedCell, Suite

_LEGEND = (
    "The convolutions' own output, signed: blue below zero, red above, white zero, one scale a layer. Shown are the\n"
    "channels that vary most over the picture; those of different networks have nothing to do with one another."
)


def feature_maps(suite: Suite) -> Files:
    """Return a picture of each model that has convolutions."""
    return {
        f"figures/feature_maps_{model}.png": picture(feature_figure(model, cells))
        for model in suite.models
        if (cells := [cell for cell in suite.of_model(model) if not _facts(cell)["skipped"]])
    }


def feature_figure(model: str, cells: list[EvaluatedCell]) -> Figure:
    """Draw a block a dataset: the digit as its network sees it, below it the maps of one layer after another."""
    rows = 1 + max(len(_facts(cell)["layers"]) for cell in cells)
    width = max(len(layer["shown"]) for cell in cells for layer in _facts(cell)["layers"])
    made = figure(len(cells) * (1.06 * width + 0.9), 1.2 * rows + 1.1)
    blocks = made.subfigures(1, len(cells), squeeze=False)[0]
    for block, cell in zip(blocks, cells, strict=True):
        _block(block, cell, rows, width)
    facts = _facts(cells[0])
    made.suptitle(f"{model}, fold 0: the same {facts['class']} (test digit {facts['id']}) on each dataset", fontsize=11)
    made.supxlabel(_LEGEND, fontsize=8)
    return made


def _block(block: SubFigure, cell: EvaluatedCell, rows: int, width: int) -> None:
    arrays, layers = cell.arrays("feature_maps.npz"), _facts(cell)["layers"]
    grid = block.subplots(rows, width, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    block.suptitle(cell.dataset, fontsize=10)
    names = ("$u_x$", "$u_y$") if "load" in cell.record["entry"] else ("image",) * len(arrays["seen"])
    for axes, name, seen in zip(grid[0], names, arrays["seen"], strict=False):
        _draw(axes, seen, float(np.abs(arrays["seen"]).max()))
        axes.set_title(name, fontsize=8)
    grid[0, 0].set_ylabel("seen", fontsize=8)
    for place, (layer, row) in enumerate(zip(layers, grid[1:], strict=False)):
        maps = arrays[f"maps-{place}"]
        for axes, channel, values in zip(row, layer["shown"], maps, strict=False):
            _draw(axes, values, float(np.abs(maps).max()))
            axes.set_title(str(channel), fontsize=7, pad=2)
        height, across = layer["resolution"]
        row[0].set_ylabel(f"{layer['name']}\n{height} x {across}, {len(maps)} of {layer['channels']}", fontsize=7)


def _draw(axes: Axes, values: NDArray[np.float32], largest: float) -> None:
    axes.imshow(values, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")


def _facts(cell: EvaluatedCell) -> dict[str, Any]:
    facts: dict[str, Any] = cell.record["probes"]["feature_maps"]
    return facts

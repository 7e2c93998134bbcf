"""Figures of the data: sample sheets, class balance, displacement fields. Arrays in, matplotlib figures out.

Colours are safe for the colour-blind. Components of a displacement have a diverging scale centred on 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import LABELLED, class_ticks, shortened
from shearbench.plotting.canvas import figure as empty_figure
from shearbench.plotting.tiles import GREY, LENGTH, SMALL, U_X, U_Y, Quantity, centres, draw_tiles

_TITLE = 10
SHOWN = 26
"""The most classes that a sheet shows."""


def sample_sheet(samples: NDArray[Any], *, quantity: Quantity, classes: Sequence[str], title: str) -> Figure:
    """Draw samples (classes, per class, h, w), or (..., 3) in colour, on one scale; NaN where there are too few."""
    rows, columns = samples[:SHOWN].shape[:2]
    figure = empty_figure(0.55 * columns + 1.7, 0.55 * rows + 0.4)
    axis = figure.subplots()
    draw_tiles(axis, samples[:SHOWN], quantity)
    axis.set_yticks(centres(rows), list(map(shortened, classes[:SHOWN])))
    axis.set_ylabel("class", fontsize=SMALL)
    axis.set_title(title + _part(classes), fontsize=_TITLE)
    return figure


def class_balance(counts: NDArray[np.int64], *, classes: Sequence[str], title: str) -> Figure:
    """Draw the number of held-out samples of each fold and class, ``counts`` (folds, classes)."""
    folds = len(counts)
    figure = empty_figure(0.62 * min(len(classes), 2 * LABELLED) + 1.2, 0.36 * folds + 1.1)
    axis = figure.subplots()
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=2 * max(1, int(counts.max())), aspect="auto")
    for fold, label in np.ndindex(*counts.shape) if len(classes) <= 2 * LABELLED else ():
        axis.text(label, fold, str(counts[fold, label]), ha="center", va="center", fontsize=SMALL, color="black")
    class_ticks(axis.xaxis, classes)
    axis.set_yticks(range(folds))
    axis.set_xlabel("class")
    axis.set_ylabel("fold")
    axis.set_title(title, fontsize=_TITLE)
    return figure


def displacement(
    images: NDArray[np.uint8], fields: NDArray[np.float32], *, labels: Sequence[str], title: str
) -> Figure:
    """Draw images (n, h, w) above their displacement (n, 2, h, w) in pixels: u_x, u_y and length, one scale per row."""
    x, y = fields[:, 0], fields[:, 1]
    rows: list[tuple[Quantity, NDArray[Any]]] = [(GREY, images), (U_X, x), (U_Y, y), (LENGTH, np.hypot(x, y))]
    shown = [(quantity, tiles[None, :SHOWN]) for quantity, tiles in rows]
    names = list(map(shortened, labels[:SHOWN]))
    return _columns(empty_figure(0.85 * len(names) + 1.3, 4.2), shown, names, title + _part(labels))


def mean_fields(
    means: Mapping[Quantity, NDArray[np.float64]], *, counts: Sequence[int], classes: Sequence[str], title: str
) -> Figure:
    """Draw the mean fields of each class (classes, h, w), one row and scale per quantity; NaN without a sample."""
    shown = [(quantity, fields[None, :SHOWN]) for quantity, fields in means.items()]
    names = [f"{shortened(name)}\nn = {n}" for name, n in zip(classes[:SHOWN], counts[:SHOWN], strict=True)]
    figure = empty_figure(0.85 * len(names) + 1.3, 1.02 * len(shown) + 0.7)
    return _columns(figure, shown, names, title + _part(classes))


def alike(first: NDArray[np.uint8], second: NDArray[np.uint8], *, notes: Sequence[str], title: str) -> Figure:
    """Draw pairs of samples (n, h, w), or (n, h, w, 3) in colour, one below the other, with a note above each pair."""
    figure = empty_figure(0.85 * max(4, len(notes)) + 1.0, 2.7)
    return _columns(figure, [(GREY, np.stack([first, second]))], notes, title)


def _columns(figure: Figure, rows: Sequence[tuple[Quantity, NDArray[Any]]], names: Sequence[str], title: str) -> Figure:
    """Draw tiles (lines, columns, h, w) of each quantity in axes of its own; name the columns above the first."""
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, (quantity, tiles) in zip(axes, rows, strict=True):
        draw_tiles(axis, tiles, quantity)
        axis.set_yticks([])
    axes[0].xaxis.tick_top()
    axes[0].set_xticks(centres(len(names)), names, fontsize=SMALL)
    figure.suptitle(title, fontsize=_TITLE)
    return figure


def _part(classes: Sequence[str]) -> str:
    return f" (the first {SHOWN} of {len(classes)} classes)" if len(classes) > SHOWN else ""

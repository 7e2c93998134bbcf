"""The sheet of Grad-CAM or saliency maps: one digit of each class, what a network sees of it, and where it looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.evaluation.canvas import ORANGE, bare, figure

_OPACITY = 0.8
_LEGEND = (
    "Orange: the map, from 0 to its own maximum, over the size of the input in grey. Inputs are shown normalised,\n"
    "as the network sees them; fields are blue below the mean, red above, one scale a row, cut at the 99th percentile."
)


@dataclass(frozen=True, eq=False)
class Looks:
    """Where one network looks: ``maps`` (m, 28, 28), 0 to 1, and the classes that it ``predicted`` (m,)."""

    maps: NDArray[np.float32]
    predicted: NDArray[np.int64]


def attribution_figure(
    title: str,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    channels: Sequence[str],
    looks: Mapping[int, Looks],
) -> Figure:
    """Draw a column for each digit: its channels, then for each fold its map over the digit.

    Args:
        title: what stands above.
        inputs: what the networks see, normalised, (m, channels, 28, 28).
        labels: true classes (m,).
        channels: what each channel is called.
        looks: fold -> where its network looks.
    """
    rows = len(channels) + len(looks)
    made = figure(1.27 * len(labels) + 0.5, 1.36 * rows + 1.1)
    grid = made.subplots(rows, len(labels), squeeze=False)
    for axes in grid.flat:
        bare(axes)
    for row, name in enumerate(channels):
        grid[row, 0].set_ylabel(name)
        _inputs(list(grid[row]), inputs[:, row])
    for row, (fold, look) in enumerate(looks.items(), start=len(channels)):
        grid[row, 0].set_ylabel(f"fold {fold}")
        _maps(list(grid[row]), inputs, labels, look)
    for axes, label in zip(grid[0], labels, strict=True):
        axes.set_title(str(label), fontsize=11)
    made.suptitle(title, fontsize=11)
    made.supxlabel(_LEGEND, fontsize=9)
    return made


def _inputs(row: list[Axes], values: NDArray[np.float32]) -> None:
    """Draw one channel of each digit on one scale: grey from zero for an image, blue to red for a signed field."""
    signed = values.min() < 0
    largest = float(np.percentile(np.abs(values), 99) if signed else values.max())
    for axes, value in zip(row, values, strict=True):
        axes.imshow(value, cmap="RdBu_r" if signed else "gray_r", vmin=-largest if signed else 0, vmax=largest)


def _maps(row: list[Axes], inputs: NDArray[np.float32], labels: NDArray[np.int64], look: Looks) -> None:
    """Draw the size of each input in grey, its map in orange above, and the class it was taken for where wrong."""
    size = np.sqrt((inputs**2).sum(axis=1))
    for axes, value, weight, label, predicted in zip(row, size, look.maps, labels, look.predicted, strict=True):
        overlay(axes, value, weight, float(size.max()))
        note = "no map" if not weight.any() else ""
        if predicted != label:
            note = f"read as {predicted} {note}"
        axes.set_xlabel(note, fontsize=8)


def overlay(axes: Axes, size: NDArray[np.float32], weight: NDArray[np.float32], largest: float) -> None:
    """Draw the size of an input in grey, white 0 and black ``largest``, and its map (0 to 1) in orange above."""
    axes.imshow(size, cmap="gray_r", vmin=0, vmax=largest)
    axes.imshow(np.dstack([np.full((*weight.shape, 3), to_rgb(ORANGE)), _OPACITY * weight]))

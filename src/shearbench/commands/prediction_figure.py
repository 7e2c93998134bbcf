"""The figure of ``shearbench predict --explain``: file, network input, Grad-CAM map and class probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from shearbench.comparison.champion import Prediction
from shearbench.data.dataset import DIGITS
from shearbench.data.handwritten import EXPLAINED
from shearbench.plotting.canvas import BLUE, GREY, ORANGE, figure, plain, png, shortened
from shearbench.records import write_bytes

_OPACITY = 0.8
_FRAME = "#bbbbbb"
_INCH = 2.3
_BARS = 10  # number of classes drawn


def write_explanation(
    file: Path,
    picture: NDArray[np.uint8],
    seen: NDArray[np.float32],
    weight: NDArray[np.float32],
    *,
    predicted: Prediction,
    probabilities: NDArray[np.float64],
    doubt: str,
    classes: Sequence[str] = DIGITS,
    threshold: float | None,
    model: str,
    method: str = "Grad-CAM",
) -> Path:
    """Write the figure of one prediction beside its file; return the path.

    Args:
        picture: the content of the file, (h, w, 3).
        seen: the normalised input of the network, (channels, h, w).
        weight: the map of the predicted class by the attribution ``method``, (h, w), 0 to 1.
        probabilities: calibrated, (classes,).
        doubt: the reason to doubt that the file shows one digit; empty without one.
        threshold: the least confidence of a sure prediction; None if no prediction is sure.
    """
    best, second = classes[predicted.label], classes[predicted.runner_up]
    unsure = doubt or ("" if predicted.answered else f"{best} or {second}")
    made = figure(_INCH * (len(seen) + 2) + 3.2, _INCH + 0.9)
    made.suptitle(f"{file.name}: {f'not sure: {unsure}' if unsure else f'predicted as {best}'} ({model})", fontsize=11)
    grid = made.subplots(1, len(seen) + 3, width_ratios=[*(1,) * (len(seen) + 2), 1.3])
    for axes in grid[:-1]:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color(_FRAME)
    grid[0].imshow(picture)
    grid[0].set_title("the file", fontsize=10)
    _inputs(list(grid[1:-2]), seen)
    size = np.sqrt((seen**2).sum(axis=0))
    grid[-2].imshow(size, cmap="gray_r", vmin=0)
    grid[-2].imshow(np.dstack([np.full((*weight.shape, 3), to_rgb(ORANGE)), _OPACITY * weight]))
    grid[-2].set_title(f"{method} for {shortened(best)}" if weight.any() else f"{method}: no map", fontsize=10)
    _bars(grid[-1], probabilities, predicted.label, classes, threshold)
    path = file.with_name(file.name + EXPLAINED)
    write_bytes(path, png(made))
    return path


def _inputs(row: list[Axes], seen: NDArray[np.float32]) -> None:
    """Draw the input on one scale: grey for an image; for a field, blue below and red above the mean."""
    signed = seen.min() < 0
    largest = float(np.abs(seen).max()) or 1.0
    size = f"input, {seen.shape[1]} x {seen.shape[2]}"
    names = ("$u_x$", "$u_y$") if signed and len(seen) == 2 else (size,) * len(seen)
    for axes, channel, name in zip(row, seen, names, strict=True):
        axes.imshow(channel, cmap="RdBu_r" if signed else "gray_r", vmin=-largest if signed else 0, vmax=largest)
        axes.set_title(name, fontsize=10)


def _bars(
    axes: Axes, probabilities: NDArray[np.float64], best: int, classes: Sequence[str], threshold: float | None
) -> None:
    """Draw the calibrated probabilities of the most probable classes, and the threshold of a sure prediction."""
    plain(axes)
    shown = np.sort(np.argsort(-probabilities, kind="stable")[:_BARS])
    colours = [BLUE if label == best else GREY for label in shown]
    axes.barh(range(len(shown)), probabilities[shown], color=colours)
    axes.set_yticks(range(len(shown)), [shortened(classes[label]) for label in shown])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("calibrated probability", fontsize=9)
    axes.set_ylabel("class", fontsize=9)
    axes.tick_params(labelsize=8)
    if threshold is not None:
        axes.axvline(threshold, color=ORANGE, linewidth=1.2)
        axes.set_title(f"sure from {threshold:.3f} on", fontsize=10, color=ORANGE)

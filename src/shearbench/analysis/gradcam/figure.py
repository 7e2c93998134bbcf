"""Grad-CAM or saliency maps over their inputs, and notes on the predictions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from shearbench.plotting.canvas import ORANGE, shortened
from shearbench.plotting.tiles import coloured

_OPACITY = 0.8


def notes_of(
    maps: NDArray[np.float32],
    predicted: NDArray[np.int64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    *,
    first: bool = False,
) -> list[str]:
    """Return the note of each sample: the predicted class if it is wrong, and whether its map (m, h, w) is empty.

    The ``first`` row of a sheet has the true class too.
    """
    notes = []
    for weight, found, label in zip(maps, predicted, labels, strict=True):
        facts = {
            shortened(classes[label]): first,
            f"predicted {shortened(classes[found])}": found != label,
            "no map": not weight.any(),
        }
        notes.append(", ".join(text for text, holds in facts.items() if holds))
    return notes


def overlaid(inputs: NDArray[np.float32], maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the size of inputs (m, channels, h, w) in grey under maps (m, h, w) in orange, (m, h, w, 3)."""
    size = np.sqrt((inputs**2).sum(axis=1))
    weight = _OPACITY * maps[..., np.newaxis]
    drawn: NDArray[np.float64] = (1 - weight) * coloured(size, "gray_r", 0, float(size.max())) + weight * to_rgb(ORANGE)
    return drawn

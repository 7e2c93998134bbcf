"""Draw the sheet of Grad-CAM or saliency maps: one sample of each class, its normalised input, and its maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.plotting.canvas import ORANGE, shortened
from shearbench.plotting.tiles import coloured, draw_coloured, sheet

_OPACITY = 0.8
_LEGEND = (
    "Orange: the map, from 0 to its own maximum, over the size of the input in grey. Inputs are shown normalised,\n"
    "as the network sees them; fields are blue below the mean, red above, one scale a row, cut at the 99th percentile."
)


@dataclass(frozen=True, eq=False)
class Looks:
    """Maps of one network: ``maps`` (m, h, w), 0 to 1, and its ``predicted`` classes (m,)."""

    maps: NDArray[np.float32]
    predicted: NDArray[np.int64]


def attribution_figure(
    title: str,
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    classes: Sequence[str],
    channels: Sequence[str],
    looks: Mapping[int, Looks],
) -> Figure:
    """Draw a column for each sample: its channels, then for each fold its map over the sample.

    Args:
        title: above the figure.
        inputs: normalised, (m, channels, h, w).
        labels: true classes (m,).
        classes: class names.
        channels: channel names.
        looks: fold -> maps and predicted classes of its network.
    """
    tiles = [_seen(inputs[:, channel]) for channel in range(len(channels))]
    notes = [
        [shortened(classes[label]) if channel == 0 else "" for label in labels] for channel in range(len(channels))
    ]
    for look in looks.values():
        tiles.append(overlaid(inputs, look.maps))
        notes.append(notes_of(look, labels, classes))
    made = sheet(len(tiles), len(labels), beside=0.7, above=0.9)
    names = [*channels, *(f"fold {fold}" for fold in looks)]
    draw_coloured(made.subplots(), np.stack(tiles), names, notes)
    made.suptitle(title, fontsize=11)
    made.supxlabel(_LEGEND, fontsize=9)
    return made


def notes_of(look: Looks, labels: NDArray[np.int64], classes: Sequence[str], *, first: bool = False) -> list[str]:
    """Return the note of each sample: the predicted class if it is wrong, and whether there is no map.

    The ``first`` row of a sheet has the true class too.
    """
    notes = []
    for label, predicted, weight in zip(labels, look.predicted, look.maps, strict=True):
        facts = {
            shortened(classes[label]): first,
            f"predicted {shortened(classes[predicted])}": predicted != label,
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


def _seen(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return one channel of each sample on one scale: grey from zero for an image, blue to red for a signed field."""
    if values.min() >= 0:
        return coloured(values, "gray_r", 0, float(values.max()))
    largest = float(np.percentile(np.abs(values), 99))
    return coloured(values, "RdBu_r", -largest, largest)

"""Adapt inputs to a network that was trained on others, or give the reason why that has no meaning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.origin import Entry, origin_of

AS_MEASURED, DIVIDED = "as measured", "divided by the load"
"""Fields at another step: as they are, or times own displacement / displacement of the step, as if they were linear."""
OWN, REFITTED = "own", "refitted"
"""Another dataset: by the network's own normaliser, or by one of its kind fitted to that dataset."""


def obstacle(own: Entry, other: Entry) -> str:
    """Return why a network of a dataset cannot predict another one, or nothing; both are entries of ``params.yaml``."""
    if origin_of(own) != origin_of(other):
        return f"its samples are of another source, {origin_of(other)}"
    if _content(own) == _content(other):
        return "the same inputs: a network normalises them itself"
    if "load" in other and own.get("channels") == 1:
        return "it reads one channel, and a field has two"
    return ""


def obstacle_to_refitting(own: Entry, other: Entry) -> str:
    """Return why the kind of a network's normalisation cannot be fitted to another dataset, or nothing."""
    if own["normalise"] in ("none", "unit", "divide255"):
        return f"its normalisation, {own['normalise']}, is a constant"
    if own["normalise"] == "detrend":
        return "its normalisation, detrend, is that of its own load"
    return ""


def _content(entry: Entry) -> dict[str, Any]:
    """Return what of an entry says which numbers a dataset holds: all but how, and how often, they are shown."""
    return {name: value for name, value in entry.items() if name not in ("normalise", "channels")}


def with_channels(inputs: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return inputs (n, c, h, w) with so many channels: an image is doubled, of a doubled one a channel is taken."""
    if inputs.shape[1] == channels:
        return inputs
    return np.repeat(inputs[:, :1], channels, axis=1)

"""Adapt inputs of another dataset or step to a network, or give the reason why that has no meaning."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Entry, origin_of

AS_MEASURED, DIVIDED = "as measured", "divided by the load"
"""Fields at another step: unchanged, or times own displacement / displacement of the step (linear material)."""
OWN, REFITTED = "own", "refitted"
"""Normalisation of another dataset: the network's own, or one of its kind fitted to that dataset."""


def obstacle(own: Entry, other: Entry) -> str:
    """Return why a network of ``own`` cannot predict ``other`` (entries of ``params.yaml``), or an empty text."""
    if origin_of(own) != origin_of(other):
        return f"its samples are of another source, {origin_of(other)}"
    if _content(own) == _content(other):
        return "the same inputs: a network normalises them itself"
    if "load" in other and own.get("channels") == 1:
        return "it reads one channel, and a field has two"
    return ""


def obstacle_to_refitting(own: Entry, other: Entry) -> str:
    """Return why the kind of a network's normalisation cannot be fitted to another dataset, or an empty text."""
    if own["normalise"] in ("none", "unit", "divide255"):
        return f"its normalisation, {own['normalise']}, is a constant"
    if own["normalise"] == "detrend":
        return "its normalisation, detrend, is that of its own load"
    return ""


def _content(entry: Entry) -> dict[str, Any]:
    """Return the part of an entry that decides the numbers of a dataset: all but normalisation and channels."""
    return {name: value for name, value in entry.items() if name not in ("normalise", "channels")}


def with_channels(inputs: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return inputs (n, c, h, w) with ``channels`` channels, copies of the first one if the number differs."""
    if inputs.shape[1] == channels:
        return inputs
    return np.repeat(inputs[:, :1], channels, axis=1)

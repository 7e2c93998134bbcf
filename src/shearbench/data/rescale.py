"""Rescaling of each displacement field by itself, before any normalisation: what a study may have done to its inputs.

Nothing is fitted, so that no sample learns from another one.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Components, Values

WHITE = 255.0
CHANNELS: Mapping[Components, tuple[int, ...]] = {"both": (0, 1), "x": (0,), "y": (1,), "swapped": (1, 0)}


def select_components(fields: NDArray[np.float32], components: Components) -> NDArray[np.float32]:
    """Return the wanted components of fields (n, 2, h, w), in the wanted order."""
    return np.ascontiguousarray(fields[:, CHANNELS[components]])


def rescaled(fields: NDArray[np.float32], values: Values) -> NDArray[np.float32]:
    """Return fields (n, channels, h, w) rescaled, each by itself.

    ``float`` leaves them in pixels. ``sample`` maps the least and the largest value of a sample to 0 and 1,
    ``sample_channel`` those of each of its channels. ``sample_bytes`` maps those of a sample to 0 and 255 and rounds to
    whole numbers. ``bytes`` keeps the whole part of 255 times the displacement as an 8-bit integer, which wraps around:
    what a cast of floats does without a warning. A constant sample becomes 0.
    """
    if values == "float":
        return fields
    if values == "bytes":
        cast: NDArray[np.float32] = np.trunc(fields * WHITE).astype(np.int64).astype(np.uint8).astype(np.float32)
        return cast
    axes = (2, 3) if values == "sample_channel" else (1, 2, 3)
    least, largest = fields.min(axis=axes, keepdims=True), fields.max(axis=axes, keepdims=True)
    shares: NDArray[np.float32] = ((fields - least) / np.where(largest > least, largest - least, 1.0)).astype(
        np.float32
    )
    return np.round(shares * np.float32(WHITE)) if values == "sample_bytes" else shares

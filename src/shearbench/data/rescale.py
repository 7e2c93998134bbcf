"""Rescaling of each displacement field by itself before normalisation, to reproduce published preprocessing.

Nothing is fitted, so no information passes between samples.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Components, Values

_WHITE = 255.0
CHANNELS: Mapping[Components, tuple[int, ...]] = {"both": (0, 1), "x": (0,), "y": (1,), "swapped": (1, 0)}
"""The components of a field that become channels."""


def rescaled(fields: NDArray[np.float32], values: Values) -> NDArray[np.float32]:
    """Return fields (n, channels, h, w), each rescaled by itself.

    - ``float``: unchanged, in pixels.
    - ``sample``: the minimum and maximum of a sample become 0 and 1.
    - ``sample_channel``: the same for each channel.
    - ``sample_bytes``: the minimum and maximum of a sample become 0 and 255, rounded to whole numbers.
    - ``bytes``: 255 times the displacement, truncated and cast to an 8-bit integer, which wraps around.

    A constant sample becomes 0.
    """
    if values == "float":
        return fields
    if values == "bytes":
        cast: NDArray[np.float32] = np.trunc(fields * _WHITE).astype(np.int64).astype(np.uint8).astype(np.float32)
        return cast
    axes = (2, 3) if values == "sample_channel" else (1, 2, 3)
    least, largest = fields.min(axis=axes, keepdims=True), fields.max(axis=axes, keepdims=True)
    shares: NDArray[np.float32] = (fields - least) / np.where(largest > least, largest - least, np.float32(1))
    return np.round(shares * np.float32(_WHITE)) if values == "sample_bytes" else shares

"""Corruptions of test inputs at five severities: the common ones of images, the physical ones of displacement fields.

A corruption is a function ``(inputs, value, generator) -> inputs`` and one line in ``IMAGES`` or ``FIELDS``. Its
random part (a direction, a place, noise) depends on the generator only, not on the value. With the same generator, a
higher severity corrupts a sample in the same way, only more.
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.corruption.fields import FIELDS
from shearbench.analysis.corruption.images import IMAGES, WHITE
from shearbench.analysis.corruption.kind import Corruption
from shearbench.mechanics.loads import PUBLISHED_HEIGHT, displacements_of

__all__ = ["CLEAN", "FIELDS", "IMAGES", "SEVERITIES", "Corruption", "corrupt", "corruptions_of"]

SEVERITIES = 5
CLEAN = "none"
"""The name of uncorrupted inputs in tables, at severity 0."""


def corruptions_of(entry: Mapping[str, Any]) -> dict[str, Corruption]:
    """Return the corruptions for inputs of a dataset's entry in ``params.yaml``."""
    return FIELDS if "load" in entry else IMAGES


def corrupt(
    inputs: NDArray[Any],
    corruption: Corruption,
    severity: int,
    entry: Mapping[str, Any],
    generator: np.random.Generator,
) -> NDArray[Any]:
    """Return corrupted inputs (n, channels, height, width), not normalised and of their original type.

    Images of bytes are rounded to bytes again; the grey scale of others is from their least to their largest value. All
    channels of an image are corrupted alike. A length in pixels refers to an image of 28 pixels in height, and grows
    with the height; a relative length is a multiple of the displacement that the load imposes.

    Args:
        inputs: inputs of the dataset, not normalised.
        corruption: one of :func:`corruptions_of`.
        severity: 1 to 5.
        entry: entry of the dataset in ``params.yaml``.
        generator: generator of the random part.
    """
    value = corruption.values[severity - 1]
    if "load" in entry:
        scale = displacements_of(entry["load"], inputs.shape[2])[entry["step"]] if corruption.relative else 1.0
        made = corruption.apply(inputs.astype(np.float64), value * scale, generator)
        return made.astype(inputs.dtype)
    value *= inputs.shape[2] / PUBLISHED_HEIGHT if corruption.in_pixels else 1.0
    black, white = (0.0, WHITE) if inputs.dtype == np.uint8 else (float(inputs.min()), float(inputs.max()))
    grey = (inputs.astype(np.float64) - black) * (WHITE / ((white - black) or 1.0))
    channels = [corruption.apply(channel, value, copy.deepcopy(generator)) for channel in grey.swapaxes(0, 1)]
    made = np.clip(np.stack(channels, axis=1), 0, WHITE)
    made = np.rint(made) if inputs.dtype == np.uint8 else made * ((white - black) / WHITE) + black
    return made.astype(inputs.dtype)

"""Corruptions of test inputs at five severities: the common ones of images, the physical ones of displacement fields.

A corruption is a function ``(inputs, value, generator) -> inputs`` and one line in ``IMAGES`` or ``FIELDS``. What it
draws (a direction, a place, noise) depends on the generator alone and not on the value, so that with the same generator
a digit is corrupted in the same way, only more, from one severity to the next.
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
"""What tables call inputs as they are, at severity 0."""


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
    """Return inputs (n, channels, height, width), of their type and not normalised, corrupted.

    Images of bytes are rounded to bytes again; others have the grey scale from their least to their largest value. All
    channels of an image are corrupted alike. A length in pixels is one of an image of 28 pixels in height, and grows
    with the height; one that is relative is a multiple of the displacement that the load imposes.

    Args:
        inputs: as the dataset holds them.
        corruption: one of :func:`corruptions_of`.
        severity: 1 to 5.
        entry: of the dataset.
        generator: of what is drawn.
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

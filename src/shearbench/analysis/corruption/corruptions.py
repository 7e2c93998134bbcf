"""Corruptions of test inputs at five severities: the common ones of images, the physical ones of displacement fields.

A corruption is a function ``(inputs, value, generator) -> inputs`` and one line in ``IMAGES`` or ``FIELDS``. What it
draws (a direction, a place, noise) depends on the generator alone and not on the value, so that with the same generator
a digit is corrupted in the same way, only more, from one severity to the next.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.corruption.fields import FIELDS
from shearbench.analysis.corruption.images import IMAGES
from shearbench.analysis.corruption.kind import Corruption
from shearbench.mechanics.loads import displacements_of

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
    """Return inputs (n, channels, 28, 28), of their type and not normalised, corrupted.

    Images are rounded to bytes again, and the channels of a doubled image stay equal. A length that is relative is a
    multiple of the displacement that the load imposes.

    Args:
        inputs: as the dataset holds them.
        corruption: one of :func:`corruptions_of`.
        severity: 1 to 5.
        entry: of the dataset.
        generator: of what is drawn.
    """
    value = corruption.values[severity - 1]
    if "load" in entry:
        scale = displacements_of(entry["load"])[entry["step"]] if corruption.relative else 1.0
        made = corruption.apply(inputs.astype(np.float64), value * scale, generator)
        return made.astype(inputs.dtype)
    grey = corruption.apply(inputs[:, 0].astype(np.float64), value, generator)
    made = np.clip(np.rint(grey), 0, 255).astype(inputs.dtype)
    return np.repeat(made[:, np.newaxis], inputs.shape[1], axis=1)

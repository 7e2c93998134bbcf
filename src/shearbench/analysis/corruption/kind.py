"""The type of a corruption."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Apply = Callable[[Values, float, np.random.Generator], Values]


@dataclass(frozen=True)
class Corruption:
    """A function of inputs, the quantity that its value measures, and the values of its five severities.

    ``relative`` values are multiplied by the displacement that the load imposes; those ``in_pixels`` are pixels of an
    image of 28 pixels in height.
    """

    apply: Apply
    measure: str
    values: tuple[float, float, float, float, float]
    relative: bool = False
    in_pixels: bool = False


def signs(n: int, generator: np.random.Generator) -> Values:
    """Draw -1 or 1 for each of ``n`` samples."""
    return generator.choice([-1.0, 1.0], n)


def directions(n: int, generator: np.random.Generator) -> Values:
    """Draw a direction in the plane for each of ``n`` samples: unit vectors (n, 2)."""
    angle = generator.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)

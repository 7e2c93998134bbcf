"""Settings of the evaluation: the ``evaluate`` part of ``params.yaml``."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shearbench.strict import Strict

Level = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Noise(Strict):
    """Gaussian noise of several strengths, drawn ``draws`` times for each network.

    ``levels`` are in units of the input's own standard deviation; ``raw`` ones in its own units (shares of the grey
    scale, pixels of displacement).
    """

    levels: tuple[Level, ...] = Field(min_length=1, strict=False)
    raw: tuple[Level, ...] = Field(min_length=1, strict=False)
    draws: Count

    def strengths(self, deviation: NDArray[np.float64], scale: float) -> list[NDArray[np.float64]]:
        """Return the standard deviation of the noise in each channel, (channels,), for each level, then each raw one.

        Args:
            deviation: of the inputs, (channels,), in their own units.
            scale: what raw levels are multiplied by.
        """
        own = [level * deviation for level in self.levels]
        return [*own, *(np.full_like(deviation, level * scale) for level in self.raw)]


class Evaluate(Strict):
    """Number of test samples for expensive analyses."""

    samples: Annotated[int, Field(ge=10)]
    """What each fold's network reads under each corruption, level of noise and shear step; the folds share out the
    test digits, so that they stand on up to folds x digits of them."""
    noise: Noise
    explained: Count
    """Digits of each class whose maps are measured, the same for every network."""
    embedded: Annotated[int, Field(ge=40)]
    """Digits whose activations are embedded, the same for every network."""

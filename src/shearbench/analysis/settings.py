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

    ``levels`` are in units of the input's own standard deviation, ``raw`` ones in its units (shares of the grey
    scale, pixels of displacement).
    """

    levels: tuple[Level, ...] = Field(min_length=1, strict=False)
    raw: tuple[Level, ...] = Field(min_length=1, strict=False)
    draws: Count

    def strengths(self, deviation: NDArray[np.float64], scale: float) -> list[NDArray[np.float64]]:
        """Return the standard deviations (channels,) of the noise, for each of ``levels``, then for each of ``raw``.

        ``deviation`` (channels,) is that of the inputs, in their units; ``scale`` is the factor of the raw levels.
        """
        own = [level * deviation for level in self.levels]
        return [*own, *(np.full_like(deviation, level * scale) for level in self.raw)]


class Evaluate(Strict):
    """Number of test samples for expensive analyses."""

    samples: Annotated[int, Field(ge=10)]
    """Test samples that each fold's network predicts under each corruption, noise level and step of a load; the folds
    divide the test set, so that a run uses up to folds x ``samples`` of them."""
    noise: Noise
    explained: Count
    """Samples per class with measured attribution maps, the same for every network."""
    embedded: Annotated[int, Field(ge=40)]
    """Samples in the embedding, the same for every network."""

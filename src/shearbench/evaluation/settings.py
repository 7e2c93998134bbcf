"""How much an evaluation asks of the test set: the ``evaluate`` part of ``params.yaml``."""

from typing import Annotated

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


class Evaluate(Strict):
    """How many test digits the costly questions are asked of."""

    digits: Annotated[int, Field(ge=10)]
    """What each fold's network reads under each corruption, level of noise and shear step; the folds share out the
    test digits, so that they stand on up to folds x digits of them."""
    noise: Noise
    explained: Count
    """Digits of each class whose maps are measured, the same for every network."""
    embedded: Annotated[int, Field(ge=40)]
    """Digits whose activations are embedded, the same for every network."""

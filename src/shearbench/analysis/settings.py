"""Settings of the evaluation, the ``evaluate`` part of ``params.yaml``, and the selection of test samples by them.

A selection depends only on labels, ids and a generator, so every network and dataset gets the same samples.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shearbench.strict import Strict

Level = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Rows = NDArray[np.int64]


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


def one_of_each_class(ids: NDArray[np.int64], labels: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the row of the lowest id of each class, so that every dataset shows the same samples."""
    return tuple(first_of_each_class(ids, labels, 1).tolist())


def first_of_each_class(ids: NDArray[np.int64], labels: NDArray[np.int64], count: int) -> Rows:
    """Return the rows of the ``count`` lowest ids of each class (all of a smaller class), class by class."""
    by_id = np.argsort(ids)
    return np.concatenate([by_id[labels[by_id] == label][:count] for label in np.unique(labels)])


def interleaved(ids: NDArray[np.int64], labels: NDArray[np.int64], generator: np.random.Generator) -> Rows:
    """Return all rows in a random order with alternating classes, so that every slice is nearly balanced."""
    drawn = generator.permutation(np.argsort(ids))
    turn = np.empty(len(drawn), np.int64)
    for label in np.unique(labels):
        of_class = labels[drawn] == label
        turn[of_class] = np.arange(of_class.sum())
    return drawn[np.lexsort((labels[drawn], turn))]


def share_of_fold(order: Rows, fold: int, count: int) -> Rows:
    """Return the ``count`` rows for a fold's network; successive folds take successive rows, cyclically.

    If ``count`` is at least the number of rows, every fold takes all of them.
    """
    if count >= len(order):
        return order
    return order[(fold * count + np.arange(count)) % len(order)]

"""Select test samples for expensive analyses.

A selection depends only on labels, ids and a generator, so every network and dataset gets the same samples.
"""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


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

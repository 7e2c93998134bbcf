"""Exact and near-duplicates: samples so alike that one gives away the class of the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from shearbench.data.units import first_occurrences

NEAR_IMAGES, NEAR_FIELDS = 0.97, 0.995
"""Least correlation of near-duplicates.

Among 4,000 MNIST digits, 9 pairs reach it, all of them ones drawn upright. Displacement fields are smooth,
so any two fields are more alike than the digits they were made from.
"""

_COST = 3.0  # minus the correlation; stays above 0, because a sparse 0 means no link
_ROWS = 512  # rows of the correlation matrix at a time: 60,000 x 60,000 would not fit in memory


@dataclass(frozen=True)
class Alike:
    """Two rows of a dataset, ``first < second``, and their correlation about the mean sample; 1 if exact copies."""

    first: int
    second: int
    exact: bool
    correlation: float


def find(inputs: NDArray[Any], *, near: float) -> list[Alike]:
    """Return pairs of duplicate rows: copies with their first occurrence, then near-duplicates.

    Near-duplicates are distinct samples that correlate by at least ``near``. The correlation is the cosine of the
    angle between two samples after the mean sample is subtracted from each, rounded to 4 places. A group of m
    near-duplicates gives m - 1 pairs, those of its maximum spanning tree.

    ``inputs`` are (n, channels, height, width), of any numeric type; ``near`` is above 0.
    """
    first, of_row = first_occurrences(inputs)
    origins = first[of_row]
    copies = np.flatnonzero(origins != np.arange(len(inputs)))
    exact = [Alike(int(origins[row]), int(row), True, 1.0) for row in copies]
    return exact + [
        Alike(int(first[i]), int(first[j]), False, round(float(correlation), 4))
        for i, j, correlation in zip(*_linked(inputs[first], near), strict=True)
    ]


def _linked(inputs: NDArray[Any], near: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return sorted rows i < j that link all rows that correlate by at least ``near``, and their correlations."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float32)
    flat -= flat.mean(axis=0)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, 1)  # a sample equal to the mean sample correlates with none
    i, j = np.zeros((2, 0), np.int64)
    correlation = np.zeros(0)
    for start in range(0, len(flat), _ROWS):
        # Only columns from `start` on, because earlier blocks found the earlier pairs.
        block = flat[start : start + _ROWS] @ flat[start:].T  # (rows, from start on)
        down, along = np.nonzero(np.triu(block >= near, k=1))
        i, j = np.concatenate([i, down + start]), np.concatenate([j, along + start])
        correlation = np.concatenate([correlation, block[down, along]])
        # A spanning tree of least cost keeps the most alike pairs of each group.
        costs = coo_array((_COST - correlation, (i, j)), shape=(len(flat), len(flat)))
        tree = minimum_spanning_tree(costs.tocsr()).tocoo()  # reduced after each block: at most n - 1 pairs
        i, j, correlation = tree.row.astype(np.int64), tree.col.astype(np.int64), _COST - tree.data
    order = np.lexsort((j, i))
    return i[order], j[order], correlation[order]

"""Samples that occur twice: exactly, or so alike that one of them tells the class of the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.deal import first_occurrences

NEAR_IMAGES, NEAR_FIELDS = 0.97, 0.995
"""Least correlation of near-duplicates.

Among 4,000 MNIST digits, 9 pairs have it, all of them upright ones. A displacement field is smooth, so any
two of them are more alike than the digits that they were made from.
"""

_ROWS = 512  # rows of the correlation matrix at a time: 60,000 x 60,000 would not fit in memory


@dataclass(frozen=True)
class Alike:
    """Two rows of a dataset, ``first < second``, and their correlation about the mean sample; 1 if exact copies."""

    first: int
    second: int
    exact: bool
    correlation: float


def find(inputs: NDArray[Any], *, near: float) -> list[Alike]:
    """Return the pairs of rows that are alike: every copy with its first occurrence, then near-duplicates.

    Near-duplicates are distinct samples whose Pearson-like correlation is at least ``near``: the cosine of
    the angle between them once the mean sample is subtracted from each, rounded to 4 places.

    Args:
        inputs: (n, channels, height, width), of any numeric type.
        near: least correlation, above 0.
    """
    first, of_row = first_occurrences(inputs)
    origins = first[of_row]
    copies = np.flatnonzero(origins != np.arange(len(inputs)))
    exact = [Alike(int(origins[row]), int(row), True, 1.0) for row in copies]
    return exact + [
        Alike(int(first[i]), int(first[j]), False, round(float(correlation), 4))
        for i, j, correlation in _correlated(inputs[first], near)
    ]


def _correlated(inputs: NDArray[Any], near: float) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of rows i < j, in order, that correlate by at least ``near``, and by how much."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float32)
    flat -= flat.mean(axis=0)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, 1)  # a sample that is the mean sample correlates with none
    for start in range(0, len(flat), _ROWS):
        block = flat[start : start + _ROWS] @ flat[start:].T  # (rows, from start on)
        i, j = np.nonzero(np.triu(block >= near, k=1))
        yield from zip((i + start).tolist(), (j + start).tolist(), block[i, j].tolist(), strict=True)

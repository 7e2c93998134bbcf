"""Deal samples to parts: stratified by class, with every group (writer) and all copies of an image on one side.

One rule serves the test part, the folds, the inner part and the tuning part. Samples that must stay together form a
*unit*: the samples of one group, and copies of one image with the groups that they belong to. Units are dealt one by
one, the largest first, each to the part in which it leaves the counts of classes nearest to their targets. For units
of one sample this is the method of Sainte-Lague, so the parts are as exact as whole numbers allow.

The order of units of equal size is that of the SHA-256 of the seed and the unit's number: no random stream of a
library decides it. Same aim as scikit-learn's ``StratifiedGroupKFold``, for parts of any shares.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
UNKNOWN = -1
"""The group of a sample of which nobody knows the group: it is one of its own."""

NOWHERE = -1
_PASSES = 3
_ROUNDING = 1e-9
_TIE = 1e-3
"""Weight of a part's size beside its counts of classes: it decides between parts that are alike otherwise."""


def none_given() -> Rows:
    """Return no rows: the default of an optional array of groups or units."""
    return np.empty(0, np.int64)


def units_of(images: NDArray[Any], groups: Rows) -> Rows:
    """Return the unit of each sample, int64 (n,): the first row of all that must stay together.

    Args:
        images: (n, ...), of which copies stay together.
        groups: (n,), or ``UNKNOWN``.
    """
    from scipy.sparse import coo_array  # slow to import, and every command imports this module
    from scipy.sparse.csgraph import connected_components

    n = len(images)
    first, of_image = first_occurrences(images)
    known = np.flatnonzero(groups != UNKNOWN)
    _, representative, of_group = np.unique(groups[known], return_index=True, return_inverse=True)
    ends = np.concatenate([first[of_image], known[representative][of_group]])
    starts = np.concatenate([np.arange(n), known])
    links = coo_array((np.ones(len(ends), np.int8), (starts, ends)), shape=(n, n))
    _, component = connected_components(links, directed=False)
    _, leaders = np.unique(component, return_index=True)
    return np.asarray(leaders[component], np.int64)


def deal(units: Rows, labels: Rows, shares: Sequence[float], *, seed: int) -> Rows:
    """Return the part of each sample, int64 (n,), numbered as ``shares``; no unit is in two parts.

    Args:
        units: (n,), equal for samples that stay together; see :func:`units_of`.
        labels: (n,), any integers.
        shares: of each class that each part is to get; they sum to 1.
        seed: from ``seeds.seed_for``. The same units are dealt alike whatever the order of the samples.
    """
    assert abs(sum(shares) - 1) < 1e-9, shares
    names, of_sample = np.unique(units, return_inverse=True)
    classes, of_class = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes) + 1))
    np.add.at(counts, (of_sample, of_class), 1)
    counts[:, -1] = counts.sum(axis=1)
    targets = np.outer(shares, counts.sum(axis=0))
    weights = np.append(np.ones(len(classes)), _TIE) / targets
    # The cost of a unit in a part is the change of sum (count - target)^2 / target, which is added * (added - room).
    room = 2 * targets
    parts = np.full(len(names), NOWHERE, np.int64)
    order = sorted(range(len(names)), key=lambda unit: (-counts[unit, -1], _digest(seed, int(names[unit]))))
    large = [unit for unit in order if counts[unit, -1] > 1]
    # Large units are dealt first, into empty parts. Further passes move them if a better place has come up since.
    for unit in [*order, *large * _PASSES]:
        added, before = counts[unit], parts[unit]
        if before != NOWHERE:
            room[before] += 2 * added
        costs = (weights * added * (added - room)).sum(axis=1)
        part = int(np.argmin(costs))
        # A tie stays. Otherwise rounding would move units between equal parts, differently on each machine.
        if before != NOWHERE and costs[part] > costs[before] - _ROUNDING:
            part = int(before)
        room[part] -= 2 * added
        parts[unit] = part
    return parts[of_sample]


def first_occurrences(images: NDArray[Any]) -> tuple[Rows, Rows]:
    """Return where each distinct image occurs first (d,), and for every image its place in that list (n,)."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, of_sorted = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts by content; the order of the images is the one to keep
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[of_sorted]


def _digest(seed: int, unit: int) -> bytes:
    return hashlib.sha256(f"{seed}/{unit}".encode()).digest()

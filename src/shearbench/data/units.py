"""Assign samples to parts, stratified by class, with every group (writer) and all copies of an image in one part.

The same rule makes the test part, the folds, the inner part and the tuning part. Samples that must stay together form
a *unit*: the samples of one group, and copies of one image with the groups of these copies. Units are assigned one by
one, largest first, each to the part where the class counts come closest to their targets. For units of one sample
this is the method of Sainte-Lague, so the parts are as exact as whole numbers allow.

Units of equal size are ordered by the SHA-256 of the seed and the number of the unit, so the result does not depend
on the random stream of a library. ``StratifiedGroupKFold`` of scikit-learn is similar, for equal shares.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
UNKNOWN = -1
"""Marks a sample without a known group; such a sample is a group of its own."""

NOWHERE = -1
_PASSES = 3
_ROUNDING = 1e-9
_TIE = 1e-3
"""Weight of the size of a part relative to its class counts; it breaks ties between parts."""


def none_given() -> Rows:
    """Return an empty array, the default of optional groups or units."""
    return np.empty(0, np.int64)


def units_of(images: NDArray[Any], groups: Rows) -> Rows:
    """Return the unit of each sample, int64 (n,), named by the first row of the unit.

    Args:
        images: (n, ...); copies of an image stay together.
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


def assign_parts(units: Rows, labels: Rows, shares: Sequence[float], *, seed: int) -> Rows:
    """Return the part of each sample, int64 (n,), an index into ``shares``; no unit is in two parts.

    Args:
        units: (n,), equal for samples that stay together; see :func:`units_of`.
        labels: (n,), any integers.
        shares: the target share of each class per part; they sum to 1.
        seed: from ``seeds.seed_for``. The result does not depend on the order of the samples.
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
    digests = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    order = sorted(range(len(names)), key=lambda unit: (-counts[unit, -1], digests[unit]))
    large = [unit for unit in order if counts[unit, -1] > 1]
    # Large units are assigned first, to empty parts. Further passes move them if another part fits better by then.
    for unit in [*order, *large * _PASSES]:
        added, before = counts[unit], parts[unit]
        if before != NOWHERE:
            room[before] += 2 * added
        costs = (weights * added * (added - room)).sum(axis=1)
        part = int(np.argmin(costs))
        # On a tie the unit stays. Otherwise rounding would move units between equal parts, differently per machine.
        if before != NOWHERE and costs[part] > costs[before] - _ROUNDING:
            part = int(before)
        room[part] -= 2 * added
        parts[unit] = part
    return parts[of_sample]


def first_occurrences(images: NDArray[Any]) -> tuple[Rows, Rows]:
    """Return the first row of each distinct image (d,), and for every image its index in that list (n,)."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, of_sorted = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts by content; restore the order of the images
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[of_sorted]

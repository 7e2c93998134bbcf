"""Copied digits: digits of a class that were copied from MNIST, or from one another.

MNIST's test and training digits come from different writers. So the distances of test digits to their nearest training
digit are those between writers. A digit is flagged if its nearest MNIST digit lies more than ``DEVIATIONS`` standard
deviations beyond this distribution, in correlation or in pixel distance. Each class has its own distribution, because
two ones are always alike. The digit must also be much nearer to this one than to others, because a simple shape, such
as a seven of two straight lines, is near to many. ``atanh`` of a correlation and the logarithm of a distance are nearly
normal.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from shearbench.data.handwritten import CLASSES
from shearbench.seeds import generator_for

Images = NDArray[np.uint8]
Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]

DEVIATIONS = 3.5  # a normal number exceeds it once in 4,300
SAMPLED = 3000  # MNIST test digits with a search for their neighbours; half of them set the limits
RIVAL = 5  # a copy is far nearer to one digit than to others; a simple shape is as near to many
_APART = 2.0  # standard deviations by which the lead over the rival exceeds the mean lead of other writers' digits
_SAME_HAND = 5.0  # deviations for two files of a folder: digits of one writer are more alike than MNIST's
_HONEST = 0.01  # largest share of flagged digits in an honest group
_ALPHA = 0.001
_BLOCK = 4096  # MNIST digits at a time


@dataclass(frozen=True, eq=False)
class Nearest:
    """The most correlated and the closest other image for each of n images: rows, correlations and distances.

    ``distance`` is the root mean square difference of grey values, as a share of white.
    """

    correlated: Numbers
    correlation: Vector
    close: Numbers
    distance: Vector
    rival: Vector  # correlation with the RIVAL-th most correlated image: close to `correlation` for a common shape


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits by class (10,): a higher correlation or a smaller distance to an MNIST digit marks a copy."""

    correlation: Vector
    distance: Vector
    duplicate: Vector  # correlation above which two files of a folder count as alike
    alone: Vector  # least difference between `atanh` of the correlation and that of the RIVAL-th nearest image
    sampled: int
    flagged: float  # share of MNIST test digits that these limits flag, measured on digits that did not set them


@dataclass(frozen=True)
class Copy:
    """A copied digit: the row of the file, the id of the MNIST digit, and how near they are."""

    row: int
    mnist: int
    correlation: float
    distance: float
    by: str  # correlation, distance or both


@dataclass(frozen=True)
class Duplicate:
    """The rows of files that show the same digit, and the smallest correlation between two linked files."""

    rows: tuple[int, ...]
    correlation: float
    kind: str  # equal bytes, equal prepared pixels, or alike


@dataclass(frozen=True, eq=False)
class Reference:
    """MNIST: ``train`` and ``test`` images (m, 28, 28), with labels and ids of both, the training digits first."""

    train: Images
    test: Images
    labels: Numbers
    ids: Numbers

    @property
    def images(self) -> Images:
        return np.concatenate([self.train, self.test])


def nearest(images: Images, others: Images) -> Nearest:
    """Return the nearest of ``others`` (m, 28, 28) to each image (n, 28, 28), by both measures."""
    n = len(images)
    best, rows = np.repeat([[-2.0], [-np.inf]], n, axis=1), np.zeros((2, n), np.int64)
    top = np.full((n, RIVAL), -2.0)
    raw, unit = _flat(images), _unit(images)
    lengths = (raw**2).sum(axis=1)
    for start in range(0, len(others), _BLOCK):
        block = others[start : start + _BLOCK]
        correlation = unit @ _unit(block).T  # (n, block)
        other = _flat(block)
        squared = lengths[:, None] - 2 * raw @ other.T + (other**2).sum(axis=1)
        values = np.stack([correlation.max(axis=1), -squared.min(axis=1)])
        places = start + np.stack([correlation.argmax(axis=1), squared.argmin(axis=1)])
        rows = np.where(values > best, places, rows)
        best = np.maximum(best, values)
        most = np.concatenate([top, correlation], axis=1)
        top = np.partition(most, most.shape[1] - RIVAL, axis=1)[:, -RIVAL:]
    distance = np.sqrt(np.clip(-best[1], 0, None) / raw.shape[1])
    return Nearest(rows[0], np.clip(best[0], -1, 1), rows[1], distance, np.clip(top.min(axis=1), -1, 1))


def _flat(images: Images) -> NDArray[np.float32]:
    return (images.reshape(len(images), -1) / np.float32(255)).astype(np.float32)


def _unit(images: Images) -> NDArray[np.float32]:
    """Return images (n, pixels) with mean 0 and length 1; a blank image stays 0 and correlates with none."""
    flat = _flat(images)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.where(length > 0, length, 1))


def limits_of(reference: Reference, *, seed: int) -> Limits:
    """Return the limits for copies, from the distances between MNIST digits of different writers."""
    generator = generator_for(seed, "handwriting", "copies")
    count = min(SAMPLED, len(reference.test))
    rows = generator.permutation(len(reference.test))[:count]
    found = nearest(reference.test[rows], reference.train)
    half = count // 2
    # Half of the digits set the limits; the other half measures the share of honest digits that they flag.
    set_by = np.arange(count) < half
    shape, gap, lead = _atanh(found.correlation), np.log(np.maximum(found.distance, 1e-6)), _lead(found)
    correlation, distance, duplicate = np.ones(CLASSES), np.zeros(CLASSES), np.ones(CLASSES)
    alone = np.full(CLASSES, np.inf)
    for digit in range(CLASSES):
        first = set_by & (reference.labels[found.correlated] == digit)
        second = set_by & (reference.labels[found.close] == digit)
        if first.sum() > 2 and second.sum() > 2:
            mean, spread = shape[first].mean(), shape[first].std(ddof=1)
            correlation[digit] = np.tanh(mean + DEVIATIONS * spread)
            duplicate[digit] = np.tanh(mean + _SAME_HAND * spread)
            alone[digit] = lead[first].mean() + _APART * lead[first].std(ddof=1)
            distance[digit] = np.exp(gap[second].mean() - DEVIATIONS * gap[second].std(ddof=1))
    limits = Limits(correlation, distance, duplicate, alone, half, 0.0)
    beyond = _beyond(found, reference.labels, limits) != ""
    return replace(limits, flagged=float(beyond[~set_by].mean()))


def _atanh(correlation: Vector) -> Vector:
    """Return correlations on a scale where they are nearly normal."""
    return np.arctanh(np.clip(correlation, -0.999999, 0.999999))


def _lead(found: Nearest) -> Vector:
    """Return the lead of the nearest image over the ``RIVAL``-th nearest, on the scale of ``atanh``."""
    return np.asarray(_atanh(found.correlation) - _atanh(found.rival))


def _beyond(found: Nearest, labels: Numbers, limits: Limits) -> NDArray[np.str_]:
    """Return the measure by which each image is too near, (n,); empty text if none."""
    alike = found.correlation > limits.correlation[labels[found.correlated]]
    close = found.distance < limits.distance[labels[found.close]]
    alone = _lead(found) > limits.alone[labels[found.correlated]]
    return np.asarray(np.array(["", "correlation", "distance", "both"])[(alike & alone) + 2 * (close & alone)])


def find_copies(images: Images, usable: NDArray[np.bool_], reference: Reference, limits: Limits) -> list[Copy]:
    """Return the images (n, 28, 28) that are too near to an MNIST digit; only ``usable`` rows are searched."""
    rows = np.flatnonzero(usable)
    if not len(rows):
        return []
    found = nearest(images[rows], reference.images)
    by = _beyond(found, reference.labels, limits)
    return [
        Copy(
            row=int(rows[place]),
            mnist=int(reference.ids[(found.close if by[place] == "distance" else found.correlated)[place]]),
            correlation=round(float(found.correlation[place]), 4),
            distance=round(float(found.distance[place]), 4),
            by=str(by[place]),
        )
        for place in np.flatnonzero(by != "")
    ]


def copying_groups(copies: Sequence[Copy], groups: Numbers) -> dict[int, tuple[int, int]]:
    """Return group -> (flagged digits, digits) for groups with more flagged digits than chance explains.

    A digit of an honest group is flagged with a probability of at most 1 %. A group is named if the binomial test
    against this rate gives p < 0.001, divided by the number of groups (Bonferroni).
    """
    from scipy.stats import binomtest  # the import takes a second

    flagged, sizes = Counter(groups[[copy.row for copy in copies]].tolist()), Counter(groups.tolist())
    return {
        group: (flagged[group], sizes[group])
        for group in sorted(flagged)
        if binomtest(flagged[group], sizes[group], _HONEST, alternative="greater").pvalue < _ALPHA / len(sizes)
    }


def find_duplicates(
    images: Images, usable: NDArray[np.bool_], hashes: Sequence[str], digits: Numbers, limits: Limits
) -> list[Duplicate]:
    """Return groups of rows that show the same digit: equal files, equal images, or correlated above ``duplicate``.

    The limit of two rows is that of the first row's class.
    """
    count, unit = len(images), _unit(images)
    needed = np.where(usable, limits.duplicate[digits], np.inf)
    of_hash = np.unique(np.array(hashes), return_inverse=True)[1]
    linked = coo_array((np.zeros(0, bool), (np.zeros(0, np.int64),) * 2), shape=(count, count)).tocsr()
    least = np.ones(count)
    for start in range(0, count, _BLOCK):
        rows = slice(start, start + _BLOCK)
        correlation = unit[rows] @ unit.T
        same = (correlation > needed[rows, None]) & usable[None, :] | (of_hash[rows, None] == of_hash[None, :])
        first, second = np.nonzero(same)
        linked = linked + coo_array((np.ones(len(first), bool), (first + start, second)), shape=(count, count)).tocsr()
        least[rows] = np.where(same, correlation, 1).min(axis=1)
    _, group = connected_components(linked, directed=False)
    members = (np.flatnonzero(group == each) for each in np.flatnonzero(np.bincount(group) > 1))
    return [
        Duplicate(tuple(each.tolist()), round(float(least[each].min()), 4), _kind(of_hash[each], images[each]))
        for each in members
    ]


def _kind(hashes: Numbers, images: Images) -> str:
    if (hashes == hashes[0]).all():
        return "bytes"
    return "pixels" if (images == images[0]).all() else "alike"

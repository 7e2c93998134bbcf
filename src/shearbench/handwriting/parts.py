"""Connected parts of ink: which parts belong to the digit, and the number of digits.

A part is a dirt speck, a frame or a shadow at the border, a box or circle around the digit, a finger, or a stroke.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shearbench.handwriting.paper import Mask, Plane

Labels = NDArray[np.signedinteger]

BODY = 0.25  # least ink of a digit's pixels that are connected with full ink; it is low because pens fade
_SPECK = 0.03  # a part with less ink than this share of the largest is dirt
_SOLID = 0.6  # least value of the strongest pixel of a stroke
_WHOLE_SIDE = 0.9  # a part that covers a larger share of a side is no digit, if there is another part
_INSIDE = 0.35  # of the height of a box; a smaller part inside is the dot or slash of a zero
_FAT = 2.5  # a part at the border that is this many times thicker than the others is a finger or a shadow
_COMPACT = 4.0  # area / depth^2: below it for a quarter of a disc, 4 length / thickness for a stroke
_TALL = 0.55  # of the whole height; two parts side by side that both reach it are two digits
_WHOLE = 0.75  # of the whole height; two such parts whose columns do not overlap are two digits
CONNECTED = np.ones((3, 3), bool)  # a pixel and its eight neighbours


@dataclass(frozen=True, eq=False)
class Parts:
    """Connected parts 1 .. n of ink, with mass, highest ink, box and share of a side (n,) of each."""

    labels: Labels
    mass: Plane
    peak: Plane
    boxes: NDArray[np.int64]  # (n, 4): first row, row after the last, first column, column after the last
    side: Plane  # largest share of a side of the picture that the part covers

    @classmethod
    def of(cls, values: Plane) -> "Parts":
        """Find the parts of ink (h, w), 0 to 1."""
        ink = values >= BODY
        labels, count = ndimage.label(ink, structure=CONNECTED)
        mass = np.atleast_1d(ndimage.sum_labels(values, labels, np.arange(1, count + 1)))
        boxes = [[r.start, r.stop, c.start, c.stop] for r, c in ndimage.find_objects(labels)]
        sides = labels[0], labels[-1], labels[:, 0], labels[:, -1]
        side = np.max([np.bincount(each, minlength=count + 1)[1:] / len(each) for each in sides], axis=0)
        peak = _largest(values[ink], labels[ink], count)
        return cls(labels, mass, peak, np.array(boxes, np.int64).reshape(-1, 4), side)

    @cached_property
    def depth(self) -> Plane:
        """The largest distance of each part's pixels from pixels without ink."""
        if not len(self) or self.labels.all():
            return np.ones(len(self))
        low, high = self.boxes[:, [0, 2]].min(axis=0), self.boxes[:, [1, 3]].max(axis=0)
        about = tuple(slice(max(0, start - 1), stop + 1) for start, stop in zip(low, high, strict=True))
        labels = self.labels[about]  # the paper nearest to ink lies in its bounding box plus one pixel
        ink = labels > 0
        return _largest(ndimage.distance_transform_edt(ink)[ink], labels[ink], len(self))

    def __len__(self) -> int:
        return len(self.mass)

    @property
    def heights(self) -> NDArray[np.int64]:
        return self.boxes[:, 1] - self.boxes[:, 0]

    @property
    def widths(self) -> NDArray[np.int64]:
        return self.boxes[:, 3] - self.boxes[:, 2]

    @property
    def at_border(self) -> Mask:
        """Mask of the parts that touch the border of the picture."""
        height, width = self.labels.shape
        first, last = (self.boxes[:, [0, 2]] == 0).any(axis=1), (self.boxes[:, [1, 3]] == [height, width]).any(axis=1)
        return np.asarray(first | last)

    def mean_inside(self, part: int, values: Plane) -> float:
        """Return the mean ink of a part, by index, without its soft edges; 1 if nothing else is left."""
        inside = ndimage.binary_erosion(self.labels == part + 1, structure=CONNECTED, border_value=1)
        return float(values[inside].mean()) if inside.any() else 1.0

    @property
    def _solid(self) -> Mask:
        """Mask (n,) of the parts that are neither faint nor specks."""
        return np.asarray((self.peak >= _SOLID) & (self.mass >= _SPECK * self.mass.max(initial=0)))

    def of_digit(self) -> Mask:
        """Return a mask (n,) of the parts that belong to the digit."""
        solid = self._solid
        strange = self._frames(solid) | self._about_others(solid) | self._fingers(solid)
        if not (solid & ~strange).any():  # a digit that fills its picture is no frame
            strange = np.zeros_like(strange)
        largest = self.mass[~strange].max(initial=0)
        return np.asarray(~strange & (self.mass >= _SPECK * largest) & (self.peak >= _SOLID))

    def _frames(self, solid: Mask) -> Mask:
        """Return a mask of the lines along a side of the picture or across the whole picture."""
        height, width = self.labels.shape
        free = (solid & ~self.at_border).any()
        along = self.side > _WHOLE_SIDE
        rim = max(1, round(0.07 * min(height, width)))
        top, bottom, left, right = self.boxes.T
        on_rim = (bottom <= rim) | (top >= height - rim) | (right <= rim) | (left >= width - rim)
        thin = np.minimum(self.heights, self.widths) <= 0.08 * max(height, width)
        across = thin & ((self.heights >= 0.97 * height) | (self.widths >= 0.97 * width))
        return np.asarray((along | on_rim & self.at_border | across) & free)

    def _about_others(self, solid: Mask) -> Mask:
        """Return a mask of boxes and circles around another solid part, except zeros around a slash or dot."""
        about = np.zeros(len(self), bool)
        top, bottom, left, right = self.boxes.T
        for one in np.flatnonzero(solid):
            inner = (top > top[one]) & (bottom < bottom[one]) & (left > left[one]) & (right < right[one])
            for other in np.flatnonzero(inner & solid & (self.heights >= _INSIDE * self.heights[one])):
                if not self._is_slash(int(other)):
                    filled = ndimage.binary_fill_holes(self.labels == one + 1)
                    about[one] |= filled[self.labels == other + 1].all()
        return about

    def _is_slash(self, part: int) -> bool:
        """Return True if a part is a slanted straight line."""
        rows, columns = np.nonzero(self.labels == part + 1)
        if np.ptp(rows) == 0 or np.ptp(columns) == 0:
            return False
        is_slanted = np.ptp(columns) / np.ptp(rows) > 0.25
        return bool(is_slanted and abs(np.corrcoef(rows, columns)[0, 1]) > 0.9)

    def _fingers(self, solid: Mask) -> Mask:
        """Return a mask of border parts thicker than every inner part and either compact or 2.5 times as thick."""
        free = self.depth[solid & ~self.at_border]
        if not len(free):
            return np.zeros(len(self), bool)
        area = np.bincount(self.labels.ravel(), minlength=len(self) + 1)[1:]
        compact = area < _COMPACT * self.depth**2
        return np.asarray(self.at_border & (self.depth > free.max() + 1) & (compact | (self.depth > _FAT * free.max())))

    def boxes_about_others(self) -> Mask:
        """Return a mask (h, w) of the pixels of boxes and circles around other parts."""
        return np.isin(self.labels, 1 + np.flatnonzero(self._about_others(self._solid)))

    def digits(self, chosen: Mask, stroke: float) -> int:
        """Return the estimated number of digits in chosen parts (n,): groups side by side or stacked, a stroke apart.

        A part shorter than 55 % of the whole height belongs to its neighbour, like the bar of a five. Parts of almost
        the whole height, one beside the other, are digits however close they stand.
        """
        boxes = self.boxes[chosen & (self.mass >= 0.1 * self.mass[chosen].max(initial=0))]
        if len(boxes) < 2:
            return 1
        columns, rows = boxes[:, 2:], boxes[:, :2]
        beside = _tall_groups(columns, rows, 0, tall=_WHOLE)
        return max(beside, _tall_groups(columns, rows, stroke), _tall_groups(rows, columns, 1.5 * stroke))


def _tall_groups(along: NDArray[np.int64], across: NDArray[np.int64], gap: float, *, tall: float = _TALL) -> int:
    """Return the number of ``tall`` groups of boxes along one axis, separated by at least ``gap`` pixels."""
    whole = across[:, 1].max() - across[:, 0].min()
    groups: list[list[int]] = []
    for start, stop, low, high in sorted([*a, *b] for a, b in zip(along.tolist(), across.tolist(), strict=True)):
        if groups and start - groups[-1][1] < gap:
            last = groups[-1]
            last[1], last[2], last[3] = max(last[1], stop), min(last[2], low), max(last[3], high)
        else:
            groups.append([start, stop, low, high])
    return sum(bool(high - low >= tall * whole) for _, _, low, high in groups)


def _largest(values: Plane, labels: Labels, count: int) -> Plane:
    """Return the largest value (count,) of parts 1 to count, without the sorting of ``ndimage.maximum``."""
    largest = np.zeros(count + 1)
    np.maximum.at(largest, labels, values)
    return largest[1:]

"""Convert the images of a source for the pipeline, by rules that all kinds of sources share.

A source returns :class:`Raw` parts. :func:`settle` converts them to one size, one number of channels and one type,
numbers the classes, removes contradictory copies, and splits off a test part if the source has none. Each change and
each image left out is recorded as a :class:`Decision`. If a parameter is needed, the error names it.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import OwnImages
from shearbench.data.dataset import LEAST_SIDE, MOST_CLASSES, MOST_SIDE, Split
from shearbench.data.units import UNKNOWN, assign_parts, first_occurrences, units_of
from shearbench.errors import InputError

_SPLIT_SEED = 20_220_527  # constant, so that the same images are split alike in every project
_SHOWN = 5
_COPIES = 4  # most copies of the images in memory: the original, as floats, and in the parts of a split


@dataclass(frozen=True)
class Decision:
    """The decision on one image. ``item`` is its file or its index in an array; ``part`` is train or test."""

    item: str
    part: str
    decision: str


@dataclass(frozen=True, eq=False)
class Raw:
    """One part of a source.

    ``images`` (n, height, width), (n, height, width, channels) or (n, channels, height, width); ``labels`` (n,) of any
    type; ``groups`` (n,) of any type or None; ``items`` the names of the images, or None to use their indexes.
    """

    images: NDArray[Any]
    labels: NDArray[Any]
    groups: NDArray[Any] | None = None
    items: Sequence[str] | None = None

    def only(self, rows: NDArray[Any]) -> "Raw":
        """Return a subset of the rows, given by indexes or by a mask."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        groups = None if self.groups is None else self.groups[rows]
        items = [self.item(int(row)) for row in rows] if self.items is not None else None
        return Raw(self.images[rows], self.labels[rows], groups, items)

    def item(self, row: int) -> str:
        """Return the name of an image for messages."""
        return f"[{row}]" if self.items is None else self.items[row]


@dataclass(frozen=True, eq=False)
class Collected:
    """Both parts of a source, the names of the classes, and the decisions on single images.

    ``images`` uint8 or float32 (n, height, width), or (n, channels, height, width); ``labels`` int64 (n,);
    ``groups`` int64 (n,), -1 where none is known.
    """

    parts: dict[Split, Raw]
    classes: tuple[str, ...]
    decisions: list[Decision] = field(default_factory=list)

    @property
    def counted(self) -> dict[str, int]:
        """The number of images per decision."""
        return dict(Counter(each.decision for each in self.decisions))


def settle(name: str, source: OwnImages, raw: dict[Split, Raw], classes: Sequence[str] | None = None) -> Collected:
    """Apply the rules of this module to the parts of a source.

    Args:
        name: of the source in ``params.yaml``.
        source: its entry in ``params.yaml``.
        raw: the parts; if ``test`` is missing, it is split off.
        classes: names of the classes if ``labels`` are indexes into them; otherwise the labels are the names.

    Raises:
        InputError: if the images differ in size or channels, are too small or too large, or a class has too few
            samples for a training and a test part.
    """
    decisions: list[Decision] = []
    key = f"sources.{name}"
    raw = {split: replace(part, images=_converted(key, source, part.images)) for split, part in raw.items()}
    _check_shapes(key, [part.images for part in raw.values()])
    raw, names = _numbered(key, source, raw, classes, decisions)
    raw = _without_contradictions(raw, decisions)
    raw = _grouped(key, raw)
    if "test" not in raw:
        raw = _with_test(key, source, raw["train"], names)
    _check_classes(key, raw, names)
    return Collected(raw, names, decisions)


def settled_classes(key: str, source: OwnImages, found: Sequence[str]) -> tuple[str, ...]:
    """Return the class names of ``params.yaml``, or else those found in the data."""
    if source.classes is not None and len(source.classes) != len(found):
        raise InputError(
            f"{key}.classes must name {len(found)} classes, as the data has ({_few(found)}); got {len(source.classes)}"
        )
    names = tuple(source.classes or found)
    if len(set(names)) < len(names):
        twice = [each for each, count in Counter(names).items() if count > 1]
        raise InputError(f"{key}: classes must have different names; {_few(twice)} stand twice")
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(f"{key} must have 2 to {MOST_CLASSES:,} classes; got {len(names):,} ({_few(names)})")
    return names


def check_memory(key: str, count: int, size: Sequence[int], channels: int, itemsize: int = 1) -> None:
    """Check that the arrays of ``count`` images fit into memory.

    Args:
        key: of the source in ``params.yaml``.
        count: number of images.
        size: (height, width).
        channels: of each image.
        itemsize: bytes per value.

    Raises:
        InputError: with the required memory, the available memory, and a size that would fit.
    """
    needed = count * size[0] * size[1] * channels * itemsize
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _COPIES
    if needed > most:
        fits = [max(LEAST_SIDE, int(side * (most / needed) ** 0.5)) for side in size]
        raise InputError(
            f"{key}: {count:,} images of {size[0]} x {size[1]} x {channels} take {needed / 1e9:.1f} GB, and this "
            f"machine holds {most / 1e9:.1f} GB of them (a {_COPIES}th of its memory); set {key}.resize: {fits}, or "
            "use fewer images"
        )


def _converted(key: str, source: OwnImages, images: NDArray[Any]) -> NDArray[Any]:
    """Return images uint8 or float32 (n, height, width) or (n, channels, height, width), as ``source`` declares."""
    from shearbench.data import convert

    images = convert.to_type(key, images)
    images = convert.channels_first(key, images)
    if source.channels is not None:
        images = convert.to_channels(key, images, source.channels)
    if source.resize is not None:
        images = convert.to_size(images, source.resize)
    return images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images


def _check_shapes(key: str, parts: Sequence[NDArray[Any]]) -> None:
    shapes = {part.shape[1:] for part in parts if len(part)}
    if not shapes:
        raise InputError(f"{key} has 0 images; correct its path")
    if len(shapes) > 1 or len({part.dtype for part in parts}) > 1:
        found = " and ".join(sorted(f"{shape} {part.dtype}" for part in parts for shape in [part.shape[1:]]))
        raise InputError(
            f"{key}: the training and the test part must be alike, got {found}; set {key}.resize or channels"
        )
    *_, height, width = shapes.pop()
    if not (LEAST_SIDE <= height <= MOST_SIDE and LEAST_SIDE <= width <= MOST_SIDE):
        raise InputError(
            f"{key}: images must be {LEAST_SIDE} to {MOST_SIDE} pixels a side, got {height} x {width}; "
            f"set {key}.resize: [HEIGHT, WIDTH]"
        )


def _numbered(
    key: str, source: OwnImages, raw: dict[Split, Raw], classes: Sequence[str] | None, decisions: list[Decision]
) -> tuple[dict[Split, Raw], tuple[str, ...]]:
    """Number the classes 0, 1, ... in the order of their labels; return the parts and the class names."""
    for split, part in raw.items():
        labels = part.labels.reshape(len(part.labels), -1) if len(part.labels) else part.labels.reshape(0, 1)
        if labels.shape != (len(part.images), 1):
            raise InputError(
                f"{key}: there must be one label an image, got labels {part.labels.shape} for {len(part.images)} "
                f"images of {split}"
            )
        raw = {**raw, split: replace(part, labels=labels[:, 0])}
    present = np.unique(np.concatenate([part.labels for part in raw.values()]))
    if classes is None:
        found = [str(label) for label in present.tolist()]
        if present.dtype.kind in "iu" and not np.array_equal(present, np.arange(len(present))):
            text = f"labels {present.min()} to {present.max()} are numbered 0 to {len(present) - 1}"
            decisions.append(Decision("labels", "", text))
    else:
        if present.dtype.kind not in "iu" or present.min() < 0 or present.max() >= len(classes):
            raise InputError(f"{key}: labels must be 0 to {len(classes) - 1}, got {present.min()} to {present.max()}")
        found = [classes[label] for label in present.tolist()]
    names = settled_classes(key, source, found)
    coded = {
        split: replace(part, labels=np.searchsorted(present, part.labels).astype(np.int64))
        for split, part in raw.items()
    }
    return coded, names


def _without_contradictions(raw: dict[Split, Raw], decisions: list[Decision]) -> dict[Split, Raw]:
    """Remove images that occur in several classes, and training images that also occur in the test part."""
    splits = list(raw)
    images = np.concatenate([raw[split].images for split in splits])
    labels = np.concatenate([raw[split].labels for split in splits])
    of_part = np.repeat(np.arange(len(splits)), [len(raw[split].labels) for split in splits])
    _, place = first_occurrences(images)
    count = place.max() + 1
    lowest, highest = np.full(count, labels.max()), np.zeros(count, labels.dtype)
    np.minimum.at(lowest, place, labels)
    np.maximum.at(highest, place, labels)
    in_test = np.zeros(count, np.bool_)
    in_test[place[[splits[part] == "test" for part in of_part]]] = True
    several = (lowest != highest)[place]
    leaked = in_test[place] & np.array([splits[part] == "train" for part in of_part]) & ~several
    for wrong, text in (
        (several, "left out: the same image stands in two classes"),
        (leaked, "left out of the training part: the test part has the same image"),
    ):
        for part, split in enumerate(splits):
            rows = np.flatnonzero(wrong[of_part == part])
            decisions += [Decision(raw[split].item(int(row)), split, text) for row in rows]
    retained = ~(several | leaked)
    if retained.all():
        return raw
    return {split: raw[split].only(retained[of_part == part]) for part, split in enumerate(splits)}


def _grouped(key: str, raw: dict[Split, Raw]) -> dict[Split, Raw]:
    """Number the groups of both parts together; raise InputError if a group is in both parts."""
    known = [part.groups for part in raw.values() if part.groups is not None]
    if not known:
        return {split: replace(part, groups=np.full(len(part.labels), UNKNOWN)) for split, part in raw.items()}
    names = np.unique(np.concatenate([groups.astype(str) for groups in known]))
    names = names[(names != "") & (names != str(UNKNOWN))]
    coded: dict[Split, Raw] = {}
    for split, part in raw.items():
        groups = np.full(len(part.labels), "", names.dtype) if part.groups is None else part.groups.astype(str)
        if groups.shape != part.labels.shape:
            raise InputError(f"{key}: there must be one group an image, got {groups.shape} for {len(part.labels)}")
        places = np.searchsorted(names, groups).clip(max=max(len(names) - 1, 0))
        found = names[places] == groups if len(names) else np.zeros(len(groups), np.bool_)
        coded[split] = replace(part, groups=np.where(found, places, UNKNOWN).astype(np.int64))
    if len(coded) == 2:
        one, other = (np.asarray(part.groups) for part in coded.values())
        shared = np.setdiff1d(np.intersect1d(one, other), [UNKNOWN])
        if len(shared):
            raise InputError(
                f"{key}: {len(shared)} groups stand in the training and in the test part ({_few(names[shared])}); move "
                "each to one side, or remove the test part and let it be split off by group"
            )
    return coded


def _with_test(key: str, source: OwnImages, part: Raw, names: Sequence[str]) -> dict[Split, Raw]:
    """Split a test part off, stratified by class; copies of an image and images of a group stay together."""
    assert part.groups is not None
    counts = np.bincount(part.labels, minlength=len(names))
    if counts.min() < 2:
        raise InputError(
            f"{key}: each class must have at least 2 images, one to train on and one to test; class "
            f"{names[int(counts.argmin())]!r} has {counts.min()}; add images or remove the class"
        )
    shares = [1 - source.test, source.test]
    test = assign_parts(units_of(part.images, part.groups), part.labels, shares, seed=_SPLIT_SEED) == 1
    return {"train": part.only(~test), "test": part.only(test)}


def _check_classes(key: str, raw: dict[Split, Raw], names: Sequence[str]) -> None:
    for split, least in (("train", 2), ("test", 1)):
        counts = np.bincount(raw[split].labels, minlength=len(names))  # type: ignore[index]
        few = [f"{names[label]} has {counts[label]}" for label in np.flatnonzero(counts < least).tolist()]
        if few:
            raise InputError(
                f"{key}: each class must have at least {least} different images in the {split} part; {_few(few)}; add "
                "images or remove the class"
            )


def _few(names: Sequence[Any] | NDArray[Any]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more

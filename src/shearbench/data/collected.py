"""Convert the images of a source for the pipeline, by rules that all kinds of sources share.

A source returns :class:`Raw` parts. :func:`settle` converts them to one size, one number of channels and one type,
numbers the classes, removes contradictory copies, and splits off a test part if the source has none. Each change and
each image left out is recorded as a :class:`Decision`. If a parameter is needed, the error names it. The type, layout,
size and number of channels are converted as declared in ``params.yaml``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.config import OwnImages
from shearbench.data.dataset import LEAST_SIDE, MOST_CLASSES, MOST_SIDE, Split
from shearbench.data.units import UNKNOWN, assign_parts, first_occurrences, units_of
from shearbench.errors import InputError, few
from shearbench.execution import memory

_SPLIT_SEED = 20_220_527  # constant, so that the same images are split alike in every project
_LEFT_OUT = "left out"
_COPIES = 4  # most copies of the images in memory: the original, as floats, and in the parts of a split
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


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
        return f"[{row}]" if self.items is None else self.items[row]


@dataclass(frozen=True, eq=False)
class Collected:
    """Both parts of a source, the names of the classes, and the decisions on single images.

    ``images`` uint8 or float32 (n, height, width), or (n, channels, height, width); ``labels`` int64 (n,);
    ``groups`` int64 (n,), -1 where none is known.
    """

    parts: dict[Split, Raw]
    classes: tuple[str, ...]
    decisions: list[Decision]

    @property
    def counted(self) -> dict[str, int]:
        return dict(Counter(each.decision for each in self.decisions))


def settle(
    name: str,
    source: OwnImages,
    raw: dict[Split, Raw],
    classes: Sequence[str] | None = None,
    decisions: Sequence[Decision] = (),
) -> Collected:
    """Apply the rules of this module to the parts of a source.

    A missing ``test`` part is split off. ``classes`` are the names if labels are indexes into them; or else labels are
    names. ``decisions`` are earlier ones.

    Raises:
        InputError: if the images differ in size or channels, are too small or too large, or a class has too few
            samples for a training and a test part.
    """
    made = list(decisions)
    key = f"sources.{name}"
    raw = {split: replace(part, labels=plain(f"{key}: labels", part.labels)) for split, part in raw.items()}
    kinds = {part.labels.dtype.kind in "US" for part in raw.values()}
    if len(kinds) > 1:
        raise InputError(f"{key}: the labels of the training and the test part must both be numbers or both be names")
    raw = {split: replace(part, images=converted(key, source, part.images)) for split, part in raw.items()}
    _check_shapes(key, raw)
    raw, names = _numbered(key, source, raw, classes, made)
    raw = _without_contradictions(raw, made)
    raw = _grouped(key, raw)
    left_out = sum(each.decision.startswith(_LEFT_OUT) for each in made)
    note = f" ({left_out:,} copies in several classes or parts were left out)" if left_out else ""
    if "test" not in raw:
        raw = _with_test(key, source, raw["train"], names, note)
    _check_classes(key, raw, names, note)
    return Collected(raw, names, made)


def plain(what: str, values: NDArray[Any], missing: int | None = None) -> NDArray[Any]:
    """Return labels or groups as whole numbers or text: 2.0 is 2, b"cat" is "cat"; NaN is ``missing``.

    Raises:
        InputError: if a number is not whole, or is NaN without ``missing``.
    """
    if values.dtype.kind == "S":
        try:
            return np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{what} must be text in UTF-8 ({error.reason}: {error.object!r}); encode it so") from None
    if values.dtype.kind != "f":
        return values
    known = ~np.isnan(values)
    if missing is not None:
        values = np.where(known, values, missing)
    wrong = values != np.round(values)  # NaN too
    if wrong.any():
        raise InputError(
            f"{what} must be whole numbers or names, got {values[wrong][0]} at position {int(np.argmax(wrong))}, one "
            f"of {int(wrong.sum())}; remove these images or give them a class"
        )
    return values.astype(np.int64)


def check_memory(key: str, count: int, size: Sequence[int], channels: int, itemsize: int = 1) -> None:
    """Check that the arrays of ``count`` images fit into memory; ``size`` is (height, width), ``itemsize`` in bytes.

    Raises:
        InputError: with the required memory, the available memory, and a size that would fit.
    """
    needed = count * size[0] * size[1] * channels * itemsize
    most = memory.total() // _COPIES
    if needed > most:
        fits = [max(LEAST_SIDE, int(side * (most / needed) ** 0.5)) for side in size]
        raise InputError(
            f"{key}: {count:,} images of {size[0]} x {size[1]} x {channels} take {needed / 1e9:.1f} GB, and this "
            f"machine holds {most / 1e9:.1f} GB of them (a {_COPIES}th of its memory); set {key}.resize: {fits}, or "
            "use fewer images"
        )


def _check_shapes(key: str, raw: dict[Split, Raw]) -> None:
    for split, part in raw.items():
        count = len(part.images)
        if part.labels.shape not in ((count,), (count, 1)):
            raise InputError(
                f"{key}: there must be one label an image, got labels {part.labels.shape} for {count} images of {split}"
            )
        if part.groups is not None and part.groups.shape != (count,):
            raise InputError(f"{key}: there must be one group an image, got {part.groups.shape} for {count}")
    parts = [part.images for part in raw.values()]
    shapes = {part.shape[1:] for part in parts if len(part)}
    if not shapes:
        raise InputError(f"{key} has 0 images; correct its path")
    if len(shapes) > 1 or len({part.dtype for part in parts}) > 1:
        found = " and ".join(sorted(f"{part.shape[1:]} {part.dtype}" for part in parts))
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
    present, numbers = np.unique(np.concatenate([part.labels.ravel() for part in raw.values()]), return_inverse=True)
    found = [str(label) for label in present.tolist()]
    if classes is not None:
        if present.dtype.kind not in "iu" or present[0] < 0 or present[-1] >= len(classes):
            raise InputError(f"{key}: labels must be 0 to {len(classes) - 1}, got {found[0]} to {found[-1]}")
        found = [classes[label] for label in present.tolist()]
    elif present.dtype.kind in "iu" and not np.array_equal(present, np.arange(len(present))):
        text = f"labels {present.min()} to {present.max()} are numbered 0 to {len(present) - 1}"
        decisions.append(Decision("labels", "", text))
    coded = {split: replace(raw[split], labels=own) for split, own in _by_part(raw, numbers).items()}
    return coded, _class_names(key, source, found)


def _class_names(key: str, source: OwnImages, found: Sequence[str]) -> tuple[str, ...]:
    """Return the class names of ``params.yaml``, or else those found in the data."""
    if source.classes is not None and len(source.classes) != len(found):
        raise InputError(
            f"{key}.classes must name {len(found)} classes, as the data has ({few(found)}); got {len(source.classes)}"
        )
    names = tuple(source.classes or found)
    if sorted(names) == sorted(found) and names != tuple(found):
        raise InputError(
            f"{key}.classes renames the classes of the data in their order, {few(found)}, so it would swap names; "
            f"write them in that order, or leave {key}.classes out"
        )
    if len(set(names)) < len(names):
        twice = [each for each, count in Counter(names).items() if count > 1]
        raise InputError(f"{key}: classes must have different names; {few(twice)} stand twice")
    if not 2 <= len(names) <= MOST_CLASSES:
        raise InputError(
            f"{key} must have 2 to {MOST_CLASSES:,} classes; got {len(names):,} ({few(names)}); each sub-folder "
            "or label is one class"
        )
    return names


def _by_part(raw: dict[Split, Raw], values: NDArray[Any]) -> dict[Split, NDArray[np.int64]]:
    """Divide numbers of all samples, in the order of the parts, into those of each part."""
    ends = np.cumsum([len(part.images) for part in raw.values()])[:-1]
    return dict(zip(raw, np.split(values.astype(np.int64), ends), strict=True))


def _without_contradictions(raw: dict[Split, Raw], decisions: list[Decision]) -> dict[Split, Raw]:
    """Remove images that occur in several classes, and training images that also occur in the test part."""
    labels = np.concatenate([part.labels for part in raw.values()])
    split_of = np.repeat(list(raw), [len(part.labels) for part in raw.values()])
    _, place = first_occurrences(np.concatenate([part.images for part in raw.values()]))
    classes_of = np.bincount(np.unique(np.stack([place, labels]), axis=1)[0])  # number of classes of each image
    several = classes_of[place] > 1
    leaked = ~several & (split_of == "train") & np.isin(place, place[split_of == "test"])
    for wrong, text in (
        (several, f"{_LEFT_OUT}: the same image stands in two classes"),
        (leaked, f"{_LEFT_OUT} of the training part: the test part has the same image"),
    ):
        for split, part in raw.items():
            rows = np.flatnonzero(wrong[split_of == split]).tolist()
            decisions += [Decision(part.item(row), split, text) for row in rows]
    retained = ~(several | leaked)
    if retained.all():
        return raw
    return {split: part.only(retained[split_of == split]) for split, part in raw.items()}


def _grouped(key: str, raw: dict[Split, Raw]) -> dict[Split, Raw]:
    """Number the groups of both parts together; raise InputError if a group is in both parts."""
    unknown = str(UNKNOWN)
    given = [np.full(len(part.labels), unknown) if part.groups is None else part.groups for part in raw.values()]
    names, codes = np.unique(np.concatenate([each.astype(str) for each in given]), return_inverse=True)
    known = (names != "") & (names != unknown)
    groups = _by_part(raw, np.where(known, np.cumsum(known) - 1, UNKNOWN)[codes])
    shared = np.intersect1d(groups["train"], groups["test"]) if "test" in groups else np.empty(0, np.int64)
    shared = shared[shared != UNKNOWN]
    if len(shared):
        raise InputError(
            f"{key}: {len(shared)} groups stand in the training and in the test part ({few(names[known][shared])}); "
            "move each to one side, or remove the test part and let it be split off by group"
        )
    return {split: replace(part, groups=groups[split]) for split, part in raw.items()}


def _with_test(key: str, source: OwnImages, part: Raw, names: Sequence[str], note: str) -> dict[Split, Raw]:
    """Split a test part off, stratified by class; copies of an image and images of a group stay together."""
    assert part.groups is not None
    counts = np.bincount(part.labels, minlength=len(names))
    if counts.min() < 2:
        raise InputError(
            f"{key}: each class must have at least 2 images, one to train on and one to test; class "
            f"{names[int(counts.argmin())]!r} has {counts.min()}{note}; add images or remove the class"
        )
    units = units_of(part.images, part.groups)
    test = assign_parts(units, part.labels, [1 - source.test, source.test], seed=_SPLIT_SEED) == 1
    return {"train": part.only(~test), "test": part.only(test)}


def _check_classes(key: str, raw: dict[Split, Raw], names: Sequence[str], note: str) -> None:
    for split, part in raw.items():
        least = 2 if split == "train" else 1
        counts = np.bincount(part.labels, minlength=len(names))
        rare = [f"{names[label]} has {counts[label]}" for label in np.flatnonzero(counts < least).tolist()]
        if rare:
            raise InputError(
                f"{key}: each class must have at least {least} different images in the {split} part; {few(rare)}"
                f"{note}; add images or remove the class; if the test part is split off, a group stays whole: take "
                f"more groups or another {key}.test"
            )


def converted(key: str, source: OwnImages, images: NDArray[Any]) -> NDArray[Any]:
    """Return images uint8 or float32 (n, height, width) or (n, channels, height, width), as ``source`` declares.

    The input may have its 1 to 4 channels last.

    Raises:
        InputError: if values are neither bytes nor finite floating-point numbers, or the images have another shape.
    """
    images = _channels_first(key, _typed(key, images))
    if source.channels is not None:
        images = to_channels(key, images, source.channels)
    if source.resize is not None:
        images = to_size(images, source.resize)
    return images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images


def _typed(key: str, images: NDArray[Any]) -> NDArray[Any]:
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return images
    if kind == "b":
        return images.astype(np.uint8) * np.uint8(255)
    if kind in "iu" and images.size and 0 <= images.min() <= images.max() <= 255:
        return images.astype(np.uint8)
    if kind == "f":
        floats = images.astype(np.float32)
        if not np.isfinite(floats).all():
            raise InputError(f"{key}: images must be finite, but {int((~np.isfinite(floats)).sum())} values are not")
        return floats
    span = f" from {images.min()} to {images.max()}" if images.size and kind in "iu" else ""
    raise InputError(
        f"{key}: images must be uint8 or floating point, got {images.dtype}{span}; divide them by their largest value "
        "and store them as float32"
    )


def _channels_first(key: str, images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 4 and 1 <= images.shape[3] <= 4:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if images.ndim == 3 or (images.ndim == 4 and 1 <= images.shape[1] <= 4):
        return images
    raise InputError(
        f"{key}: images must be (n, height, width) or (n, height, width, 1 to 4 channels); got {images.shape}"
    )


def to_channels(key: str, images: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return images (n, ``channels``, height, width), with the luminance of ITU-R 601 for grey."""
    have = images[:, None] if images.ndim == 3 else images
    if have.shape[1] == channels:
        return have
    colour, alpha = have[:, : 1 if have.shape[1] <= 2 else 3], have[:, -1:] if have.shape[1] in (2, 4) else None
    if alpha is not None and channels in (1, 3):  # composed on white, as in a browser
        opaque = alpha.astype(np.float32) / _white(have)
        colour = (colour * opaque + _white(have) * (1 - opaque)).round(0 if have.dtype == np.uint8 else 6)
    if channels <= 2 and colour.shape[1] == 3:
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), colour, axes=(0, 1))[:, None]
        colour = grey.round() if have.dtype == np.uint8 else grey
    if channels >= 3 and colour.shape[1] == 1:
        colour = np.repeat(colour, 3, axis=1)
    if channels in (2, 4):
        full = np.full_like(have[:, :1], _white(have)) if alpha is None else alpha
        colour = np.concatenate([colour.astype(have.dtype), full], axis=1)
    assert colour.shape[1] == channels, key
    return colour.astype(have.dtype)


def to_size(images: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return images resized to ``size`` (height, width) by Pillow's bilinear filter, which antialiases."""
    if images.shape[-2:] == tuple(size):
        return images
    flat = images.reshape(-1, *images.shape[-2:])
    resized = np.empty((len(flat), *size), images.dtype)
    for row, plane in enumerate(flat):
        resized[row] = np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
    return resized.reshape(*images.shape[:-2], *size)


def _white(images: NDArray[Any]) -> float:
    return 255.0 if images.dtype == np.uint8 or images.max(initial=0) > 1 else 1.0

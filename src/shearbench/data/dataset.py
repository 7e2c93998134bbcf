"""Samples of a source and datasets as validated arrays, with their files.

Samples are in ``build/samples/{train,test}/<source>.npz``. Every dataset is made from a source and keeps its ids.
A dataset is ``build/datasets/<name>/{train,test}.npz`` with ``card.json``, which describes it, names its classes and
holds the hash of each split. Its fold table and tuning part are in the same folder. Loading one split never opens the
file of the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Components, FieldDataset, ImageDataset, Values
from shearbench.data.units import UNKNOWN, none_given
from shearbench.errors import InputError
from shearbench.records import hash_arrays, read_json, read_npz, write_json, write_npz

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")
LEAST_SIDE, MOST_SIDE = 8, 224  # pixels
MOST_CHANNELS = 4
MOST_CLASSES = 1000
DIGITS = tuple("0123456789")
"""The classes of MNIST."""
CARD = "card.json"
FOLDS, TUNING_PART = "folds.npz", "tuning_part.npz"  # in the folder of a dataset
REMAKE = "remove it and run `dvc repro`"
_ARRAYS = ("ids", "inputs", "labels", "groups")
_WHITE = 255.0
CHANNELS: Mapping[Components, tuple[int, ...]] = {"both": (0, 1), "x": (0,), "y": (1,), "swapped": (1, 0)}
"""The components of a field that become channels."""


@dataclass(frozen=True, eq=False)
class Samples:
    """One split of the samples of a source; ``name`` is for messages.

    ``ids`` int64 (n,), unique over both splits and all sources; ``images`` uint8 or float32, grey (n, height, width) or
    (n, channels, height, width); ``labels`` int64 (n,), numbers of ``classes``; ``groups`` int64 (n,), such as writers,
    that must not be on two sides of a split, -1 where unknown.
    """

    name: str
    ids: NDArray[np.int64]
    images: NDArray[Any]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] = field(default_factory=none_given)
    classes: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        """Check types, shapes, ids, labels and groups; InputError where one breaks its rule."""
        _check_samples(self)
        shape = self.images.shape[1:] if self.images.ndim in (3, 4) else (LEAST_SIDE, LEAST_SIDE)
        _check_grid(self.name, "images", self.images, ("uint8", "float32"), (len(self.ids), *shape))

    @property
    def grey(self) -> bool:
        """Whether the images have one channel of bytes, as the simulation requires."""
        return self.images.ndim == 3 and self.images.dtype == np.uint8


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a dataset, not normalised.

    ``ids`` int64 (n,), ``inputs`` uint8 or float32 (n, channels, height, width), ``labels`` int64 (n,), numbers of
    ``classes``; ``groups`` int64 (n,), -1 where none is known.
    """

    name: str
    ids: NDArray[np.int64]
    inputs: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] = field(default_factory=none_given)
    classes: tuple[str, ...] = DIGITS

    def __post_init__(self) -> None:
        """Check types, shapes, ids, labels and groups; InputError where one breaks its rule."""
        _check_samples(self)
        shape = self.inputs.shape[1:] if self.inputs.ndim == 4 else (1, *self.inputs.shape[1:3])
        _check_grid(self.name, "inputs", self.inputs, ("uint8", "float32"), (len(self.ids), *shape))
        if not 1 <= shape[0] <= MOST_CHANNELS:
            raise InputError(f"{self.name}: inputs must have 1 to {MOST_CHANNELS} channels, got {shape[0]}; {REMAKE}")

    @property
    def channels(self) -> int:
        """The number of input channels."""
        return int(self.inputs.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the inputs."""
        return int(self.inputs.shape[2]), int(self.inputs.shape[3])

    def only(self, rows: NDArray[np.int64]) -> "Dataset":
        """Return the samples of some rows, (n,), in their order."""
        return replace(
            self, ids=self.ids[rows], inputs=self.inputs[rows], labels=self.labels[rows], groups=self.groups[rows]
        )

    @property
    def content_hash(self) -> str:
        """The hash that ``card.json`` holds for this split."""
        return hash_arrays(self.ids, self.inputs, self.labels, self.groups)


@dataclass(frozen=True, eq=False)
class Fields:
    """Displacement fields of samples under one load, for some of its steps.

    ``ids`` int64 (n,), ``steps`` int64 (s,), ``displacement`` float32 (n, s, 2, height, width): u_x, u_y in
    pixels, row 0 at the top.
    """

    name: str
    ids: NDArray[np.int64]
    steps: NDArray[np.int64]
    displacement: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Check types and shapes; InputError if a rule is violated."""
        size = self.displacement.shape[-2:] if self.displacement.ndim == 5 else (LEAST_SIDE, LEAST_SIDE)
        expected = (len(self.ids), len(self.steps), 2, *size)
        _check_grid(self.name, "displacement", self.displacement, ("float32",), expected)

    def at_step(self, step: int) -> NDArray[np.float32]:
        """Return the displacement at a step of the load, (n, 2, height, width).

        Raises:
            InputError: if the step was not simulated.
        """
        found = np.flatnonzero(self.steps == step)
        if not len(found):
            known = self.steps.tolist()
            raise InputError(f"{self.name} has no step {step}, only {known}; run `dvc repro simulate`")
        return self.displacement[:, int(found[0])]


def write_samples(folder: Path, split: Split, samples: Samples, source: str = "mnist") -> None:
    """Write ``folder/<split>/<source>.npz``."""
    arrays = {name: getattr(samples, name) for name in ("ids", "images", "labels", "groups")}
    write_npz(folder / split / f"{source}.npz", {**arrays, "classes": np.array(samples.classes)})


def read_samples(folder: Path, split: Split, source: str = "mnist") -> Samples:
    """Read ``folder/<split>/<source>.npz``; InputError if it is missing or breaks the rules of :class:`Samples`."""
    path = folder / split / f"{source}.npz"
    arrays = read_named(path, ("ids", "images", "labels", "groups", "classes"))
    classes = tuple(map(str, arrays.pop("classes").tolist()))
    return Samples(str(path), **arrays, classes=classes)


def sources_in(folder: Path, split: Split) -> list[str]:
    """Return the sources with samples in ``folder/<split>/``."""
    return sorted(path.stem for path in (folder / split).glob("*.npz"))


def read_fields(path: Path) -> Fields:
    """Read ``build/fields/<split>/<load>.npz``; InputError if missing or ill-formed."""
    return Fields(str(path), **read_named(path, ("ids", "steps", "displacement")))


def materialise(
    entry: ImageDataset | FieldDataset, samples: Samples, fields: Fields | None = None
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return the inputs of a dataset entry, (n, channels, height, width), in the order of the samples.

    A grey image is repeated over the channels; an image with channels is unchanged. A field is the displacement at the
    step of the entry, with its components and its rescaling.

    Raises:
        InputError: if the source has another number of channels, or the fields belong to other samples or lack the
            step.
    """
    if isinstance(entry, ImageDataset) and samples.images.ndim == 3:
        return np.repeat(samples.images[:, None], entry.channels, axis=1)
    if isinstance(entry, ImageDataset):
        found = samples.images.shape[1]
        if found != entry.channels:
            raise InputError(
                f"datasets: `channels` of a dataset of {entry.source} must be {found}, as its images have; got "
                f"{entry.channels}. To convert them, set sources.{entry.source}.channels"
            )
        return samples.images
    assert fields is not None, "a field dataset is made of fields"
    if not np.array_equal(fields.ids, samples.ids):
        raise InputError(f"{fields.name} has not the ids of {samples.name}; {REMAKE}")
    components = np.ascontiguousarray(fields.at_step(entry.step)[:, CHANNELS[entry.components]])
    return rescaled(components, entry.values)


def rescaled(fields: NDArray[np.float32], values: Values) -> NDArray[np.float32]:
    """Return fields (n, channels, h, w), each rescaled by itself, to reproduce published preprocessing.

    Nothing is fitted, so no information passes between samples.

    - ``float``: unchanged, in pixels.
    - ``sample``: the minimum and maximum of a sample become 0 and 1.
    - ``sample_channel``: the same for each channel.
    - ``sample_bytes``: the minimum and maximum of a sample become 0 and 255, rounded to whole numbers.
    - ``bytes``: 255 times the displacement, truncated and cast to an 8-bit integer, which wraps around.

    A constant sample becomes 0.
    """
    if values == "float":
        return fields
    if values == "bytes":
        cast: NDArray[np.float32] = np.trunc(fields * _WHITE).astype(np.int64).astype(np.uint8).astype(np.float32)
        return cast
    axes = (2, 3) if values == "sample_channel" else (1, 2, 3)
    least, largest = fields.min(axis=axes, keepdims=True), fields.max(axis=axes, keepdims=True)
    shares: NDArray[np.float32] = (fields - least) / np.where(largest > least, largest - least, np.float32(1))
    return np.round(shares * np.float32(_WHITE)) if values == "sample_bytes" else shares


def write_dataset(folder: Path, splits: Mapping[Split, Dataset], facts: Mapping[str, Any]) -> None:
    """Write both splits to ``folder`` and, last, their card: ``facts`` with counts, classes and hashes."""
    for split, dataset in splits.items():
        write_npz(folder / f"{split}.npz", {name: getattr(dataset, name) for name in _ARRAYS})
    first = next(iter(splits.values()))
    known = {split: dataset.groups[dataset.groups != UNKNOWN] for split, dataset in splits.items()}
    card = {
        **facts,
        "name": folder.name,
        "counts": {split: len(dataset.ids) for split, dataset in splits.items()},
        "groups": {split: len(np.unique(groups)) for split, groups in known.items()},
        "classes": list(first.classes),
        "size": list(first.size),
        "channels": first.channels,
        "hashes": {split: dataset.content_hash for split, dataset in splits.items()},
    }
    write_json(folder / CARD, card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read a dataset's ``card.json``; InputError if it is missing or holds no hashes or classes."""
    card = read_json(folder / CARD)
    if not isinstance(card, dict) or not isinstance(card.get("hashes"), dict):
        raise InputError(f"{folder / CARD} is not the card of a dataset: it has no hashes; {REMAKE}")
    if not isinstance(card.get("classes"), list) or not all(isinstance(each, str) for each in card["classes"]):
        raise InputError(f"{folder / CARD} must name the classes of the dataset; {REMAKE}")
    return card


def load(folder: Path, split: Split) -> Dataset:
    """Load one split of the dataset in ``folder`` and check it against its card.

    Raises:
        InputError: if a file is missing or damaged, an array breaks a rule of :class:`Dataset`, or the
            hash of the content is not that in the card.
    """
    path = folder / f"{split}.npz"
    card = read_card(folder)
    dataset = Dataset(folder.name, **read_named(path, _ARRAYS), classes=tuple(card["classes"]))
    expected = card["hashes"].get(split)
    if dataset.content_hash != expected:
        raise InputError(
            f"{path} has content {dataset.content_hash}, but {folder / CARD} vouches for {expected}; "
            f"remove {folder} and run `dvc repro`"
        )
    return dataset


def read_named(path: Path, names: tuple[str, ...], step: str = REMAKE) -> dict[str, NDArray[Any]]:
    """Read the named arrays of an NPZ file; InputError with the next ``step`` if one is missing."""
    arrays = read_npz(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(f"{path} must hold the arrays {list(names)}, but has no {missing}; {step}")
    return {name: arrays[name] for name in names}


def _check_samples(samples: Samples | Dataset) -> None:
    """Check ids, labels, classes and groups; set groups to unknown where none are given."""
    name, ids, labels, classes = samples.name, samples.ids, samples.labels, samples.classes
    for noun, array in (("ids", ids), ("labels", labels)):
        if array.dtype != np.int64 or array.ndim != 1:
            raise InputError(f"{name}: {noun} must be int64 (n,), got {array.dtype} {array.shape}; {REMAKE}")
    if len(ids) != len(labels):
        raise InputError(f"{name}: there must be one label an id, got {len(labels)} for {len(ids)}; {REMAKE}")
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise InputError(f"{name}: there must be 2 to {MOST_CLASSES} classes, got {len(classes)}; {REMAKE}")
    repeated = len(ids) - len(np.unique(ids))
    if repeated:
        raise InputError(f"{name}: ids must be unique, but {repeated} are repeated; {REMAKE}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        span = f"{labels.min()} to {labels.max()}"
        raise InputError(f"{name}: labels must be 0 to {len(classes) - 1}, got {span}; {REMAKE}")
    if not len(samples.groups):
        object.__setattr__(samples, "groups", np.full(len(ids), UNKNOWN, np.int64))
    groups = samples.groups
    if groups.dtype != np.int64 or groups.shape != ids.shape or (len(groups) and groups.min() < UNKNOWN):
        rule = f"groups must be int64 (n,), 0 or more, or {UNKNOWN} where unknown"
        raise InputError(f"{name}: {rule}, got {groups.dtype} {groups.shape}; {REMAKE}")


def _check_grid(name: str, noun: str, array: NDArray[Any], types: tuple[str, ...], shape: tuple[int, ...]) -> None:
    if array.dtype.name not in types or array.shape != shape:
        raise InputError(
            f"{name}: {noun} must be {' or '.join(types)} {shape}, got {array.dtype} {array.shape}; {REMAKE}"
        )
    sides = array.shape[-2:]
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in sides):
        rule = f"{noun} must be {LEAST_SIDE} to {MOST_SIDE} pixels a side"
        raise InputError(f"{name}: {rule}, got {sides[0]} x {sides[1]}; {REMAKE}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{name}: {noun} must be finite, but some values are not; {REMAKE}")

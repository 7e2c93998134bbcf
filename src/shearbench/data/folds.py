"""The fold table of a dataset, the inner split of the training folds, and the tuning part.

``folds.npz`` holds ``ids`` and ``folds``: for each repeat, the fold that holds a training sample out. ``units`` (n,)
marks samples that stay together: those of one group (writer), and copies of one image. They share a fold and a side
of the inner split (``assign_parts``), so no model is validated on an image or a writer of its training samples.

The number of a fold is repeat * count + fold. Samples in fold -1 (``RESERVED``) train in all folds; no fold holds them
out.

The tuning part holds the training samples that are reserved for the search of hyperparameters, which sees only these.
If its result is used, no fold holds them out, so no accuracy rests on a sample that influenced the hyperparameters.
Units are all inside or all outside the part. ``tuning_part.npz`` holds its ``ids`` int64 (n,), sorted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Dataset, read_named
from shearbench.data.units import Rows, assign_parts, none_given
from shearbench.errors import InputError, few
from shearbench.records import hash_arrays, write_npz
from shearbench.strict import Strict

RESERVED = -1
TrainOn = Literal["rest", "fold"]
"""Whether a network trains on all folds but its own, or only on its own fold (disjoint training sets)."""
HELD_OUT = 1000
"""Number of samples of the next fold that are held out if a network trains on a single fold."""


@dataclass(frozen=True, eq=False)
class FoldTable:
    """The fold that holds each training sample out.

    ``ids`` int64 (n,); ``folds`` int64 (repeats, n), -1 if reserved; ``units`` int64 (n,), equal for samples that stay
    together. Without ``units``, each sample is a unit of its own.
    """

    ids: Rows
    folds: Rows
    units: Rows = field(default_factory=none_given)

    def __post_init__(self) -> None:
        """Check types, shapes and ids, that every repeat has folds 0 .. k-1, k >= 2, and that no unit is divided."""
        if not len(self.units):
            object.__setattr__(self, "units", np.arange(len(self.ids)))
        ids, folds, units = self.ids, self.folds, self.units
        same = folds.ndim == 2 and ids.shape == units.shape == folds.shape[1:]
        got = ", ".join(f"{array.dtype} {array.shape}" for array in (ids, folds, units))
        _require(
            same and ids.dtype == folds.dtype == units.dtype == np.int64,
            f"must hold int64 ids (n,), folds (repeats, n) and units (n,), got {got}",
        )
        _require(len(np.unique(ids)) == len(ids), "must hold each id once, but some are repeated")
        _require(len(folds) > 0, "must have a repeat, got none")
        reserved = folds == RESERVED
        alike = reserved.any(axis=0) == reserved.all(axis=0)
        _require(alike.all(), "must reserve a sample in every repeat or in none")
        names, of_sample = np.unique(units, return_inverse=True)
        for row in folds:
            numbers = np.unique(row[row != RESERVED])
            whole = self.count >= 2 and np.array_equal(numbers, np.arange(self.count))
            _require(whole, f"must number the folds 0, 1, ... in every repeat, got {numbers.tolist()}")
            fold = np.empty(len(names), np.int64)
            fold[of_sample] = row
            _require((fold[of_sample] == row).all(), "must have samples of one writer, and copies, in one fold")

    @property
    def reserved_rows(self) -> Rows:
        """The rows of reserved samples, which no fold holds out."""
        return np.flatnonzero((self.folds == RESERVED).all(axis=0))

    @property
    def count(self) -> int:
        """The number of folds in a repeat."""
        return int(self.folds.max()) + 1

    @property
    def repeats(self) -> int:
        """The number of repeats."""
        return len(self.folds)

    @property
    def numbers(self) -> range:
        """The numbers of all folds, repeat by repeat."""
        return range(self.repeats * self.count)

    def hash_of(self, number: int) -> str:
        """Return the hash of the table for the record of a fold. It covers only the repeat of that fold."""
        return hash_arrays(self.ids, self.folds[number // self.count], self.units)

    def split(self, number: int, train_on: TrainOn) -> tuple[Rows, Rows]:
        """Return the training rows and the held-out rows of network ``number``; they are disjoint.

        With ``train_on`` "rest" the held-out rows are its fold. With "fold" they are the first ``HELD_OUT`` samples
        of the next fold.
        """
        assert number in self.numbers, number
        row, fold = self.folds[number // self.count], number % self.count
        if train_on == "fold":
            return np.flatnonzero(row == fold), np.flatnonzero(row == (fold + 1) % self.count)[:HELD_OUT]
        return np.flatnonzero(row != fold), np.flatnonzero(row == fold)


def _require(condition: bool | np.bool_, rule: str) -> None:
    if not condition:
        raise InputError(f"the fold table {rule}; run `dvc repro`")


def make_folds(units: Rows, labels: Rows, *, folds: int, seed: int, names: Sequence[str] = ()) -> Rows:
    """Return the fold of each sample, int64 (n,), stratified by class and with ``units`` (n,) whole.

    ``names`` are the names of the classes, for the error message.

    Raises:
        InputError: if a fold would lack a class.
    """
    assigned = assign_parts(units, labels, [1 / folds] * folds, seed=seed)
    classes, of_class = np.unique(labels, return_inverse=True)
    counts = np.zeros((folds, len(classes)), np.int64)
    np.add.at(counts, (assigned, of_class), 1)
    if not counts.all():
        rare = int(np.argmin(counts.min(axis=0)))
        have = len(np.unique(units[labels == classes[rare]]))
        shown = repr(names[classes[rare]]) if names else classes[rare]
        lower = (
            f"set cv.folds to {have} or less in params.yaml" if 2 <= have < folds else "lower cv.folds in params.yaml"
        )
        step = f"{lower}, or add images of this class" if have > 1 else "add images of this class, or remove it"
        raise InputError(
            f"every fold must hold out each class, but cv.folds is {folds} and class {shown} has {have} independent "
            f"units (groups, or distinct images where groups are unknown) in the training part; {step}"
        )
    return assigned


def split_off(units: Rows, labels: Rows, *, share: float, seed: int, parameter: str) -> NDArray[np.bool_]:
    """Return the mask of a share (0 to 1) of the samples, bool (n,), stratified by class and with ``units`` (n,) whole.

    It makes the tuning part, and the inner part of the training folds for early stopping or tuning. The error message
    names ``parameter``, the share in ``params.yaml``.

    Raises:
        InputError: if a class would be missing in the part or outside.
    """
    part: NDArray[np.bool_] = assign_parts(units, labels, [1 - share, share], seed=seed) == 1
    classes = np.unique(labels)
    missing = [label for label in classes if len(np.unique(part[labels == label])) < 2]
    if missing:
        raise InputError(
            f"{parameter} must leave each of {len(classes)} classes on both sides, but {share} of {len(labels)} "
            f"samples by {len(np.unique(units))} independent units leaves class {missing[0]} on one; use more samples "
            f"or change {parameter} in params.yaml"
        )
    return part


def nested_part(labels: Rows, *, share: float, seed: int) -> Rows:
    """Return the sorted rows of a share (0 to 1) of the samples, stratified by class, with one of each class at least.

    With the same ``seed``, a smaller share is a subset of a larger one.
    """
    drawn = np.random.default_rng(seed).permutation(len(labels))
    of_class = [drawn[labels[drawn] == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([rows[: max(1, round(share * len(rows)))] for rows in of_class]))


def make_repeats(
    units: Rows,
    labels: Rows,
    *,
    folds: int,
    seeds: Sequence[int],
    reserved: NDArray[np.bool_] | None = None,
    names: Sequence[str] = (),
) -> Rows:
    """Return the folds of one repeat per seed, int64 (repeats, n), each made by :func:`make_folds`.

    Samples marked in ``reserved`` (n,) are in fold -1 of every repeat.
    """
    assigned = np.ones(len(labels), np.bool_) if reserved is None else ~reserved
    table = np.full((len(seeds), len(labels)), RESERVED, np.int64)
    for row, seed in zip(table, seeds, strict=True):
        row[assigned] = make_folds(units[assigned], labels[assigned], folds=folds, seed=seed, names=names)
    return table


def write_folds(path: Path, table: FoldTable) -> None:
    """Write ``build/folds.npz``."""
    write_npz(path, {"ids": table.ids, "folds": table.folds, "units": table.units})


def read_folds(path: Path) -> FoldTable:
    """Read ``folds.npz``; InputError if it is missing or breaks a rule of :class:`FoldTable`."""
    return FoldTable(**read_named(path, ("ids", "folds", "units")))


class Reserved(Strict):
    """The data of a search: number of samples, hash of their ids, and hash of ids, inputs, labels and groups."""

    samples: int
    ids: str
    data: str

    @classmethod
    def of(cls, part: Dataset) -> "Reserved":
        return cls(samples=len(part.ids), ids=hash_arrays(part.ids), data=part.content_hash)


def write_part(path: Path, ids: Rows) -> None:
    """Write ``tuning_part.npz``."""
    write_npz(path, {"ids": np.sort(ids)})


def read_part(path: Path) -> Rows:
    """Read ``tuning_part.npz``; InputError if it is missing or holds no ids."""
    return read_named(path, ("ids",))["ids"]


def part_of(dataset: Dataset, ids: Rows) -> Dataset:
    """Return the samples of a dataset that are in the tuning part.

    Raises:
        InputError: if the dataset lacks some.
    """
    rows = np.flatnonzero(np.isin(dataset.ids, ids))
    if len(rows) != len(ids):
        raise InputError(
            f"{dataset.name} has {len(rows)} of the {len(ids)} samples of the tuning part; run `dvc repro`"
        )
    return dataset.only(rows)


def refuse_other(name: str, reserved: Reserved, part: Dataset) -> None:
    """Refuse hyperparameters that were found on another tuning part, because held-out samples may have been seen.

    Raises:
        InputError: if ids or data differ, with both hashes.
    """
    now = Reserved.of(part)
    if reserved != now:
        what = "ids" if reserved.ids != now.ids else "data"
        found, present = getattr(reserved, what), getattr(now, what)
        raise InputError(
            f"{name} was found on samples with the {what} hash {found[:12]}, but the tuning part has {present[:12]}; "
            "search again with `make tune`, or set training.use_tuned to false"
        )


def refuse_overlap(name: str, part: NDArray[np.generic], scored: NDArray[np.generic], what: str) -> None:
    """Refuse scores of a run on samples that its hyperparameters were chosen with.

    ``part`` and ``scored`` are ids of the tuning part and of the scored samples, or hashes of their images; ``what``
    names the scored samples in the message.

    Raises:
        InputError: with the number of shared samples and the first of them.
    """
    both = np.intersect1d(part, scored)
    if len(both):
        first = few(value.decode()[:12] if isinstance(value, bytes) else value for value in both)
        raise InputError(
            f"{name}: the search for its hyperparameters has seen {len(both)} of the {what} ({first}); run `dvc repro` "
            "with training.use_tuned on, which reserves the tuning part, or set it to false"
        )

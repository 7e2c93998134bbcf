"""The fold table that all datasets share, and the inner split of the training folds.

``build/folds.npz`` holds ``ids`` and ``folds``: the fold in which each training digit is held out, once a repeat.
Another repeat is another deal of the same digits. Copies of one image are one image here: they share a fold, so that
no network is validated on a picture that it was trained on.

Folds are numbered through all repeats: number = repeat * count + fold. A digit in fold -1 (``APART``) is set apart: no
fold holds it out, it trains in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import REMAKE
from shearbench.errors import InputError
from shearbench.records import hash_arrays, read_npz, write_npz

Rows = NDArray[np.int64]
APART = -1
_SKLEARN_SEEDS = 2**32


@dataclass(frozen=True, eq=False)
class FoldTable:
    """``ids`` int64 (n,) of the training digits, and ``folds`` int64 (repeats, n): where each is held out, or -1."""

    ids: NDArray[np.int64]
    folds: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check types and shapes, that ids are unique, and that every repeat has folds 0 .. k-1 with one k >= 2."""
        same = self.ids.ndim == 1 and self.folds.ndim == 2 and self.folds.shape[1:] == self.ids.shape
        if not same or self.ids.dtype != np.int64 or self.folds.dtype != np.int64:
            got = f"{self.ids.dtype} {self.ids.shape} and {self.folds.dtype} {self.folds.shape}"
            raise InputError(
                f"the fold table must hold int64 ids (n,) and folds (repeats, n), got {got}; run `dvc repro`"
            )
        if len(np.unique(self.ids)) != len(self.ids):
            raise InputError("the fold table must hold each id once, but some are repeated; run `dvc repro`")
        if not self.repeats:
            raise InputError("the fold table must have a repeat, got none; run `dvc repro`")
        apart = self.folds == APART
        if (apart.any(axis=0) != apart.all(axis=0)).any():
            raise InputError("a digit that is set apart must be so in every repeat, but one is not; run `dvc repro`")
        for row in self.folds:
            numbers = np.unique(row[row != APART])
            if self.count < 2 or not np.array_equal(numbers, np.arange(self.count)):
                raise InputError(
                    f"the folds must be numbered 0, 1, ... in every repeat, got {numbers.tolist()}; run `dvc repro`"
                )

    @property
    def rows_apart(self) -> Rows:
        """The rows that no fold holds out."""
        return np.flatnonzero((self.folds == APART).all(axis=0))

    @property
    def count(self) -> int:
        """The number of folds in a repeat."""
        return int(self.folds.max()) + 1

    @property
    def repeats(self) -> int:
        """How often the digits are dealt to folds."""
        return len(self.folds)

    @property
    def numbers(self) -> range:
        """The numbers of all folds, repeat by repeat."""
        return range(self.repeats * self.count)

    def hash_of(self, number: int) -> str:
        """Return the hash that a record keeps of the table: that of its own repeat, whatever others there are."""
        return hash_arrays(self.ids, self.folds[number // self.count])

    def split(self, number: int) -> tuple[Rows, Rows]:
        """Return the rows that train and the rows that fold ``number`` holds out: disjoint, together all."""
        assert number in self.numbers, number
        held_out = self.folds[number // self.count] == number % self.count
        return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def make_folds(images: NDArray[Any], labels: NDArray[np.int64], *, folds: int, seed: int) -> NDArray[np.int64]:
    """Deal digits to folds, stratified by class and shuffled; return the fold of each, int64 (n,).

    Distinct images are dealt by scikit-learn's ``StratifiedKFold``, and every copy follows its first
    occurrence. (``StratifiedGroupKFold`` serves the same end, but it is slow, and a single copy among the
    images would deal all others anew.)

    Args:
        images: (n, ...).
        labels: (n,).
        folds: how many, at least 2.
        seed: from ``seeds.seed_for``.

    Raises:
        InputError: if a class has fewer distinct images than there are folds.
    """
    first, of_image = first_occurrences(images)
    classes, sizes = np.unique(labels[first], return_counts=True)
    if sizes.min() < folds:
        smallest = int(sizes.argmin())
        raise InputError(
            f"cv.folds must be at most the number of distinct images of the smallest class, "
            f"but class {classes[smallest]} has {sizes[smallest]} and cv.folds is {folds}; lower it"
        )
    from sklearn.model_selection import StratifiedKFold  # 1 s that a process which only reads folds is spared

    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed % _SKLEARN_SEEDS)
    dealt = np.full(len(first), -1, np.int64)
    for number, (_, held_out) in enumerate(splitter.split(first, labels[first])):
        assert (dealt[held_out] == -1).all(), "a digit is held out once"
        dealt[held_out] = number
    assert (dealt >= 0).all(), "every digit is held out"
    return dealt[of_image]


def first_occurrences(images: NDArray[Any]) -> tuple[Rows, Rows]:
    """Return where each distinct image occurs first (d,), and for every image its place in that list (n,)."""
    rows = np.ascontiguousarray(images).reshape(len(images), -1)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, of_sorted = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts by content; the order of the images is the one to keep
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[of_sorted]


def inner_split(ids: NDArray[np.int64], labels: NDArray[np.int64], *, fraction: float, seed: int) -> tuple[Rows, Rows]:
    """Split the training folds once more, stratified by class, for early stopping or tuning.

    Args:
        ids: (n,) ids of the training folds; the same ids are drawn whatever their order.
        labels: (n,).
        fraction: share of the inner part, 0 to 1.
        seed: from ``seeds.seed_for``.

    Returns:
        The rows to train on and the rows of the inner part, sorted; disjoint, together all.

    Raises:
        InputError: if there are too few digits for each class to stand in both parts.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    inner_size = int(np.ceil(fraction * len(ids)))
    if sizes.min() < 2 or not len(classes) <= inner_size <= len(ids) - len(classes):
        raise InputError(
            f"cv.inner_fraction must leave each of {len(classes)} classes in both parts, but {fraction} of "
            f"{len(ids)} digits is {inner_size} and the smallest class has {sizes.min()}; use more digits or "
            "change cv.inner_fraction in params.yaml"
        )
    by_id = np.argsort(ids)
    from sklearn.model_selection import train_test_split

    outer, inner = train_test_split(
        by_id, test_size=inner_size, stratify=labels[by_id], random_state=seed % _SKLEARN_SEEDS
    )
    assert not np.intersect1d(ids[outer], ids[inner]).size, "the inner part is never trained on"
    return np.sort(outer), np.sort(inner)


def make_repeats(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    folds: int,
    seeds: Sequence[int],
    apart: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Deal digits to folds as :func:`make_folds` does, once for each of ``seeds``; return int64 (repeats, n).

    Those that ``apart`` (n,) marks are not dealt: they are in fold -1.
    """
    dealt = np.ones(len(labels), np.bool_) if apart is None else ~apart
    table = np.full((len(seeds), len(labels)), APART, np.int64)
    for row, seed in zip(table, seeds, strict=True):
        row[dealt] = make_folds(images[dealt], labels[dealt], folds=folds, seed=seed)
    return table


def write_folds(path: Path, table: FoldTable) -> None:
    """Write ``build/folds.npz``."""
    write_npz(path, {"ids": table.ids, "folds": table.folds})


def read_folds(path: Path) -> FoldTable:
    """Read ``build/folds.npz``; InputError if it is missing or breaks a rule of :class:`FoldTable`.

    A flat table, as it was written before there were repeats, is one repeat.
    """
    arrays = read_npz(path)
    if not {"ids", "folds"} <= set(arrays):
        raise InputError(f"{path} must hold ids and folds, but holds {sorted(arrays)}; {REMAKE}")
    return FoldTable(arrays["ids"], np.atleast_2d(arrays["folds"]))

"""The tuning part: training samples that are reserved for the search of hyperparameters.

A search sees only these samples. If its result is used, no fold holds them out (they train in every fold), so no
accuracy rests on a sample that influenced the hyperparameters. Copies of an image, and the samples of one writer, are
all inside or all outside the part. ``tuning_part.npz`` holds their ``ids`` int64 (n,), sorted.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Dataset, read_named
from shearbench.errors import InputError, few
from shearbench.records import hash_arrays, write_npz
from shearbench.strict import Strict

Ids = NDArray[np.int64]


class Reserved(Strict):
    """The data of a search: number of samples, hash of their ids, and hash of ids, inputs, labels and groups."""

    samples: int
    ids: str
    data: str

    @classmethod
    def of(cls, part: Dataset) -> "Reserved":
        return cls(samples=len(part.ids), ids=hash_arrays(part.ids), data=part.content_hash)


def write_part(path: Path, ids: Ids) -> None:
    """Write ``tuning_part.npz``."""
    write_npz(path, {"ids": np.sort(ids)})


def read_part(path: Path) -> Ids:
    """Read ``tuning_part.npz``; InputError if it is missing or holds no ids."""
    return read_named(path, ("ids",))["ids"]


def part_of(dataset: Dataset, ids: Ids) -> Dataset:
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

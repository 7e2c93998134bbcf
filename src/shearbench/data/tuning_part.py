"""The tuning part: training digits that are reserved for the search of hyperparameters.

A search sees only these digits. If its result is used, no fold holds them out (they train in every fold), so no
accuracy rests on a digit that influenced the hyperparameters. Copies of an image, and the digits of one writer, are all
in the part or all outside. ``build/tuning_part.npz`` holds their ``ids`` int64 (n,), sorted.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import REMAKE, Dataset
from shearbench.data.folds import inner_split
from shearbench.errors import InputError
from shearbench.records import hash_arrays, read_npz, write_npz
from shearbench.strict import Strict

Ids = NDArray[np.int64]
_SHOWN = 5  # how many offending ids a message lists


class Reserved(Strict):
    """The data of a search: number of digits, hash of their ids, and hash of ids, inputs and labels."""

    samples: int
    ids: str
    data: str

    @classmethod
    def of(cls, part: Dataset) -> "Reserved":
        """Return what a search on these digits sees."""
        return cls(samples=len(part.ids), ids=hash_arrays(part.ids), data=part.content_hash)


def set_apart(units: Ids, labels: Ids, *, share: float, seed: int, parameter: str) -> NDArray[np.bool_]:
    """Return which digits are set apart, bool (n,): a share of them, stratified by class, with units whole.

    Args:
        units: (n,) of the digits, see ``deal.units_of``.
        labels: (n,).
        share: of the digits, 0 to 1.
        seed: from ``seeds.seed_for``.
        parameter: what ``share`` is called in ``params.yaml``.

    Raises:
        InputError: if a class would be missing in the part or outside.
    """
    rows = np.arange(len(labels))
    try:
        _, chosen = inner_split(rows, labels, units, fraction=share, seed=seed)
    except InputError:
        raise InputError(
            f"{parameter} must leave every class on both sides, but {share} of {len(rows)} digits by "
            f"{len(np.unique(units))} independent units does not; use more digits or change it in params.yaml"
        ) from None
    return np.isin(rows, chosen)


def write_part(path: Path, ids: Ids) -> None:
    """Write ``build/tuning_part.npz``."""
    write_npz(path, {"ids": np.sort(ids)})


def read_part(path: Path) -> Ids:
    """Read ``build/tuning_part.npz``; InputError if it is missing or holds no ids."""
    arrays = read_npz(path)
    if "ids" not in arrays or arrays["ids"].dtype != np.int64:
        raise InputError(f"{path} must hold int64 ids, but holds {sorted(arrays)}; {REMAKE}")
    return arrays["ids"]


def part_of(dataset: Dataset, ids: Ids) -> Dataset:
    """Return the samples of a dataset that are of the tuning part.

    Raises:
        InputError: if the dataset lacks some.
    """
    rows = np.flatnonzero(np.isin(dataset.ids, ids))
    if len(rows) != len(ids):
        raise InputError(f"{dataset.name} has {len(rows)} of the {len(ids)} digits of the tuning part; run `dvc repro`")
    return dataset.only(rows)


def refuse_other(name: str, reserved: Reserved, part: Dataset) -> None:
    """Refuse settings that were found on other digits than the present tuning part: nothing is known of their seal.

    Raises:
        InputError: naming what differs.
    """
    now = Reserved.of(part)
    if reserved != now:
        what = "ids" if reserved.ids != now.ids else "data"
        found, present = getattr(reserved, what), getattr(now, what)
        raise InputError(
            f"{name} was found on digits with the {what} hash {found[:12]}, but the tuning part has {present[:12]}; "
            "search again with `make tune`, or set training.use_tuned to false"
        )


def refuse_overlap(name: str, part: NDArray[np.generic], scored: NDArray[np.generic], what: str) -> None:
    """Refuse scores on digits that had a say in the settings.

    Args:
        name: of the run.
        part: ids of the tuning part, or hashes of its images.
        scored: ids or hashes of the digits that are scored, in the same manner.
        what: where the scored ones stand, for the message.

    Raises:
        InputError: naming how many there are, and the first of them.
    """
    both = np.intersect1d(part, scored)
    if len(both):
        first = ", ".join(value.decode()[:12] if isinstance(value, bytes) else str(value) for value in both[:_SHOWN])
        raise InputError(
            f"{name}: the search for its settings has seen {len(both)} of the {what} ({first}); run `dvc repro` with "
            "training.use_tuned on, which sets the tuning part apart, or set it to false"
        )

"""Stage ``prepare``: data/ -> samples with ids, fold tables and tuning parts, after the check of the raw data.

Writes for each source ``build/samples/{train,test}/<source>.npz``, ``build/folds/<source>.npz`` and
``build/tuning_part/<source>.npz``. The tuning part is assigned to folds like all other samples, unless
``training.use_tuned`` uses the result of a search on it; too few samples give an empty one.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data import raw
from shearbench.data.dataset import SPLITS, Samples, Split, write_samples
from shearbench.data.folds import FoldTable, TrainOn, make_repeats, split_off, write_folds, write_part
from shearbench.data.mnist import refuse_shared
from shearbench.data.raw import verify
from shearbench.data.units import units_of
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.seeds import seed_for

_LEAST = 2  # samples of a class that a fold trains on
IDS_OF_A_SOURCE = 10_000_000  # spacing of the first ids of sources, so that ids are unique and do not depend on counts


def main(params: Params, root: Path) -> None:
    """Check the raw data, assign ids to samples, and assign the training samples of each source to folds."""
    verify(root / "data", root / "data.dvc", params.sources)
    build = root / "build"
    written = [_prepared(params, root, name, number) for number, name in enumerate(params.sources.images)]
    for folder in (build / "samples", build / "folds", build / "tuning_part"):
        shutil.rmtree(folder, ignore_errors=True)  # also removes sources that are no longer in params
    for name, (samples, part, table) in zip(params.sources.images, written, strict=True):
        for split in SPLITS:
            write_samples(build / "samples", split, samples[split], name)
        write_part(build / "tuning_part" / f"{name}.npz", samples["train"].ids[part])
        write_folds(build / "folds" / f"{name}.npz", table)


def _prepared(
    params: Params, root: Path, name: str, number: int
) -> tuple[dict[Split, Samples], NDArray[np.bool_], FoldTable]:
    """Return the samples of a source, the mask of the tuning part, and the fold table."""
    samples = raw.read(root / "data" / name, first_id=number * IDS_OF_A_SOURCE)
    train = samples["train"]
    refuse_shared(root / "data" / name, {split: samples[split].groups for split in SPLITS})
    units = units_of(train.images, train.groups)
    part = _tuning_part(params, name, train, units)
    folds = make_repeats(
        units,
        train.labels,
        folds=params.cv.folds,
        seeds=seeds_of_repeats(params),
        reserved=part if params.training.use_tuned else None,
        names=train.classes,
    )
    table = FoldTable(train.ids, folds, units)
    _refuse_single(name, table, train, params.cv.train_on)
    return samples, part, table


def _tuning_part(params: Params, name: str, train: Samples, units: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the mask of the tuning part. It is empty if there are too few samples, unless folds must leave it out."""
    seed = seed_for(params.seed, "tuning part")
    try:
        return split_off(units, train.labels, share=params.tuning.share, seed=seed, parameter="tuning.share")
    except InputError as error:
        if params.training.use_tuned:
            raise
        print(f"{name} has no tuning part, which only `shearbench tune` needs: {error}")
        return np.zeros(len(train.ids), np.bool_)


def _refuse_single(name: str, table: FoldTable, train: Samples, train_on: TrainOn) -> None:
    """Raise InputError if a fold trains on a single sample of a class: no classifier could be calibrated on it."""
    for number in table.numbers:
        counts = np.bincount(train.labels[table.split(number, train_on)[0]], minlength=len(train.classes))
        rare = int(counts.argmin())
        if counts[rare] < _LEAST:
            have = int((train.labels == rare).sum())
            raise InputError(
                f"{name}: every fold must train on at least {_LEAST} samples of each class, but fold {number} trains "
                f"on {counts[rare]} of class {train.classes[rare]!r}, which has {have} in the training part; add "
                "samples of this class, or remove it"
            )


def seeds_of_repeats(params: Params) -> list[int]:
    """Return the seed of each repeat; an added repeat does not change earlier ones."""
    names: list[tuple[str | int, ...]] = [("folds",), *(("folds", repeat) for repeat in range(1, params.cv.repeats))]
    return [seed_for(params.seed, *name) for name in names]

"""Stage ``prepare``: data/ -> digits with ids, one fold table and the tuning part, once the guard has passed the data.

Writes ``build/samples/{train,test}.npz``, ``build/folds.npz`` and ``build/tuning_part.npz``. The tuning part is dealt
to folds as all other digits are, but where ``training.use_tuned`` puts to use what a search found on it.
"""

from pathlib import Path

import numpy as np

from shearbench.data.dataset import SPLITS, Samples, Split, write_samples
from shearbench.data.deal import units_of
from shearbench.data.folds import FoldTable, make_repeats, write_folds
from shearbench.data.guard import verify
from shearbench.data.idx import GROUPS_FILES, MNIST_FILES, read_groups, read_pair
from shearbench.data.tuning_part import set_apart, write_part
from shearbench.data.writers import refuse_shared, unknown
from shearbench.params import Params
from shearbench.seeds import seed_for


def main(params: Params, root: Path) -> None:
    """Check the raw data, give every digit its id, and deal the training digits to folds."""
    verify(root / "data", root / "data.dvc", params.sources)
    samples = read_raw_digits(root / "data" / "mnist")
    train = samples["train"]
    refuse_shared(root / "data" / "mnist", {split: samples[split].groups for split in SPLITS})
    units = units_of(train.images, train.groups)
    part = set_apart(
        units,
        train.labels,
        share=params.tuning.share,
        seed=seed_for(params.seed, "tuning part"),
        parameter="tuning.share",
    )
    folds = make_repeats(
        units,
        train.labels,
        folds=params.cv.folds,
        seeds=seeds_of_repeats(params),
        apart=part if params.training.use_tuned else None,
    )
    for split in SPLITS:
        write_samples(root / "build" / "samples", split, samples[split])
    write_part(root / "build" / "tuning_part.npz", train.ids[part])
    write_folds(root / "build" / "folds.npz", FoldTable(train.ids, folds, units))


def seeds_of_repeats(params: Params) -> list[int]:
    """Return the seed of each deal; an added repeat leaves those before it as they are."""
    names: list[tuple[str | int, ...]] = [("folds",), *(("folds", repeat) for repeat in range(1, params.cv.repeats))]
    return [seed_for(params.seed, *name) for name in names]


def read_raw_digits(folder: Path) -> dict[Split, Samples]:
    """Read the IDX files of ``data/mnist``, with groups where known; ids count on from training to test digits."""
    samples: dict[Split, Samples] = {}
    first = 0
    for split in SPLITS:
        images, labels = read_pair(*(folder / name for name in MNIST_FILES[split]))
        ids = np.arange(first, first + len(labels), dtype=np.int64)
        known = folder / GROUPS_FILES[split]
        groups = read_groups(known) if known.is_file() else unknown(len(labels))
        samples[split] = Samples(str(folder / MNIST_FILES[split][0]), ids, images, labels.astype(np.int64), groups)
        first += len(labels)
    return samples

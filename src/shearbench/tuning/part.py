"""The tuning part of a dataset as a dataset of its own, the only data that a search opens.

``build/tuning/splits/<dataset>/`` holds ``train.npz`` with its card, and ``folds.npz``. An inner part, which no fold
holds out, scores the trials; the other samples train them. The folds divide these others and score the finalists, on
other samples than those that selected the finalists. The inner part then trains in every fold.
"""

from pathlib import Path

import numpy as np

from shearbench.data.dataset import CARD, Dataset, load, read_card, write_dataset
from shearbench.data.folds import RESERVED, FoldTable, make_folds, write_folds
from shearbench.data.tuning_part import part_of, reserve
from shearbench.data.units import units_of
from shearbench.records import read_json
from shearbench.seeds import seed_for
from shearbench.tuning.trial import FOLDS


def write_part_of(
    folder: Path,
    dataset: Path,
    ids: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    *,
    inner_fraction: float,
    folds: int,
    seed: int,
) -> Dataset:
    """Write the tuning part of a dataset unless it exists, and return it.

    Args:
        folder: to write to.
        dataset: ``build/datasets/<dataset>``; its training samples are read.
        ids: ids of the tuning part.
        inner_fraction: share of the part that scores the trials.
        folds: number of folds of the rest.
        seed: of ``params.yaml``.

    Raises:
        InputError: if there are too few samples for the inner part or the folds.
    """
    part = part_of(load(dataset, "train"), ids)
    facts = {
        "inner_fraction": inner_fraction,
        "folds": folds,
        "seed": seed,
        "of": read_card(dataset)["hashes"]["train"],
    }
    if (folder / CARD).is_file() and read_json(folder / CARD).get("part") == facts:
        return load(folder, "train")
    units = units_of(part.inputs, part.groups)
    inner = reserve(
        units,
        part.labels,
        share=inner_fraction,
        seed=seed_for(seed, "tune", "inner"),
        parameter="tuning.inner_fraction",
    )
    table = np.full(len(part.ids), RESERVED, np.int64)
    fold_seed = seed_for(seed, "tune", "folds")
    table[~inner] = make_folds(units[~inner], part.labels[~inner], folds=folds, seed=fold_seed)
    write_folds(folder / FOLDS, FoldTable(part.ids, table[np.newaxis], units))
    write_dataset(folder, {"train": part}, {"part": facts})
    return part

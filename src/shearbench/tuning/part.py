"""The tuning part of a dataset as a dataset of its own: what a search opens, and all that it opens.

``build/tuning/<dataset>/part/`` holds ``train.npz`` with its card, and ``folds.npz``. An inner part of the digits, set
apart from its folds, scores the trials; the rest trains them. The folds deal that rest: they score the finalists, on
other digits than those by which the finalists were chosen. The inner part then trains in each of them.
"""

from pathlib import Path

import numpy as np

from shearbench.data.dataset import CARD, Dataset, load, read_card, write_dataset
from shearbench.data.deal import units_of
from shearbench.data.folds import APART, FoldTable, make_folds, write_folds
from shearbench.data.tuning_part import part_of, set_apart
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
    """Write the tuning part of a dataset, unless it is there, and return it.

    Args:
        folder: to write to.
        dataset: ``build/datasets/<dataset>``, of which the training part is read.
        ids: of the tuning part.
        inner_fraction: share of the part that scores the trials.
        folds: how many the rest is dealt to.
        seed: of ``params.yaml``.

    Raises:
        InputError: if there are too few digits for either.
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
    inner = set_apart(
        units,
        part.labels,
        share=inner_fraction,
        seed=seed_for(seed, "tune", "inner"),
        parameter="tuning.inner_fraction",
    )
    table = np.full(len(part.ids), APART, np.int64)
    dealt = seed_for(seed, "tune", "folds")
    table[~inner] = make_folds(units[~inner], part.labels[~inner], folds=folds, seed=dealt)
    write_folds(folder / FOLDS, FoldTable(part.ids, table[np.newaxis], units))
    write_dataset(folder, {"train": part}, {"part": facts})
    return part

"""The seal of tuned settings, checked on what was predicted: no score is of a digit that their search has seen.

Reads ``build/tuning_part.npz``, ``build/digits/`` and the predictions of finished cells.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from shearbench.data.dataset import SPLITS
from shearbench.data.tuning_part import read_part, refuse_overlap
from shearbench.evaluation.cell import read_runs
from shearbench.evaluation.pairs import content_by_id
from shearbench.records import read_npz


def refuse_broken(build: Path, cells: Iterable[tuple[str, str]], *, networks: int) -> None:
    """Refuse scores of tuned cells on digits of the tuning part, by id and by image, out of fold and on the test set.

    Args:
        build: the folder ``build/`` with finished runs and evaluations.
        cells: (dataset, model) of each cell with tuned settings.
        networks: how many a cell has.

    Raises:
        InputError: naming the cell, how many such digits it is scored on, and the first.
    """
    part = read_part(build / "tuning_part.npz")
    train, test = (content_by_id(build / "digits", split) for split in SPLITS)
    images = np.array([train[number] for number in part])
    for dataset, model in cells:
        name = f"{dataset}-{model}"
        runs = read_runs(build / "runs" / dataset / model, networks)
        held_out = np.unique(np.concatenate([run.out_of_fold.ids for run in runs]))
        tested = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")["ids"]
        for ids, content, what in ((held_out, train, "digits that the folds hold out"), (tested, test, "test digits")):
            refuse_overlap(name, part, ids, what)
            refuse_overlap(name, images, np.array([content[number] for number in ids]), f"images of the {what}")

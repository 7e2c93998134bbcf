"""The leakage check: no run is scored on samples that the search for its hyperparameters used.

Reads ``build/datasets/``, ``build/samples/`` and the predictions of finished runs.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from shearbench.comparison.pairs import content_by_id
from shearbench.data.dataset import SPLITS, TUNING_PART
from shearbench.data.tuning_part import read_part, refuse_overlap
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import read_npz


def refuse_broken(build: Path, runs: Iterable[tuple[str, str]], *, networks: int) -> None:
    """Refuse scores of tuned runs on samples of the tuning part, by id and by image, out of fold and on the test set.

    Args:
        build: the folder ``build/`` with finished runs and evaluations.
        runs: (dataset, model) of each run with tuned hyperparameters.
        networks: number of networks of a run.

    Raises:
        InputError: naming the run, the number of such samples, and the first of them.
    """
    train, test = (content_by_id(build / "samples", split) for split in SPLITS)
    for dataset, model in runs:
        part = read_part(build / "datasets" / dataset / TUNING_PART)
        images = np.array([train[number] for number in part])
        name = f"{dataset}-{model}"
        fold_runs = read_fold_runs(build / "runs" / dataset / model, networks)
        held_out = np.unique(np.concatenate([fold_run.out_of_fold.ids for fold_run in fold_runs]))
        tested = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")["ids"]
        for ids, content, what in ((held_out, train, "digits that the folds hold out"), (tested, test, "test digits")):
            refuse_overlap(name, part, ids, what)
            refuse_overlap(name, images, np.array([content[number] for number in ids]), f"images of the {what}")

"""The evidence on every pair of cells, from the predictions that training and evaluation stored.

Reads ``build/runs/``, ``build/evaluation/`` and ``build/digits/``; hands correctness per digit to ``statistics``.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import SPLITS, Split, read_digits
from shearbench.errors import InputError
from shearbench.evaluation.cell import FoldRun, read_runs
from shearbench.records import read_npz
from shearbench.statistics.cells import Cell, Plan
from shearbench.statistics.design import Design
from shearbench.statistics.pairs import Comparison, compare_all

Content = NDArray[Any]


def compare_cells(
    build: Path, names: Iterable[tuple[str, str]], *, design: Design, rope: Mapping[str, float]
) -> list[Comparison]:
    """Compare every pair of networks on a dataset and every pair of datasets for a network.

    Args:
        build: the folder ``build/`` with finished runs and evaluations.
        names: (dataset, model) of each cell.
        design: folds, repeats, alpha and power as declared before the run.
        rope: half-width of the region of equivalence by dataset.

    Raises:
        InputError: if the comparison must be refused: folds are missing, data or folds differ, or a test digit is
            among the training digits.
    """
    content, test_content = (content_by_id(build / "digits", split) for split in SPLITS)
    cells = [_cell(build, dataset, model, design, content, test_content) for dataset, model in names]
    compared = compare_all(cells, Plan(design, rope))
    return [*compared.networks, *compared.datasets]


def _cell(
    build: Path,
    dataset: str,
    model: str,
    design: Design,
    content: Mapping[int, bytes],
    test_content: Mapping[int, bytes],
) -> Cell:
    runs = read_runs(build / "runs" / dataset / model, design.n)
    repeats = [_out_of_fold(runs[first : first + design.folds]) for first in range(0, design.n, design.folds)]
    ids = repeats[0][0]
    if any(not np.array_equal(ids, others) for others, _, _ in repeats):
        raise InputError(f"{dataset}-{model}: not every repeat predicts the same digits; run `dvc repro`")
    test = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")
    test_correct = test["probabilities"].argmax(axis=2) == test["labels"]
    return Cell(
        dataset=dataset,
        network=model,
        data_hash=runs[0].record["hashes"]["data"],
        ids=ids,
        folds=np.stack([folds % design.folds for _, folds, _ in repeats]),
        correct=np.stack([correct for _, _, correct in repeats]),
        test_ids=test["ids"],
        test_correct=test_correct.reshape(len(repeats), -1, len(test["ids"])),
        content=np.array([content[number] for number in ids]),
        test_content=np.array([test_content[number] for number in test["ids"]]),
    )


def _out_of_fold(runs: list[FoldRun]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return, of one repeat, ids in order, the fold that holds each out, and whether its network reads it rightly."""
    predictions = [run.out_of_fold for run in runs]
    ids = np.concatenate([each.ids for each in predictions])
    folds = np.concatenate([np.full(len(each.ids), run.fold) for run, each in zip(runs, predictions, strict=True)])
    correct = np.concatenate([each.probabilities.argmax(axis=1) == each.labels for each in predictions])
    order = np.argsort(ids)
    return ids[order], folds[order], correct[order]


def content_by_id(folder: Path, split: Split) -> dict[int, bytes]:
    """Return a hash of each digit's image, from which all datasets are made, by id."""
    digits = read_digits(folder, split)
    return {
        int(number): hashlib.sha256(image.tobytes()).hexdigest().encode()
        for number, image in zip(digits.ids, digits.images, strict=True)
    }

"""``build/transfer/``: what the networks of every cell made of inputs that they were not made for, as tables."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.evaluation.cell import FoldRun
from shearbench.evaluation.estimates import Estimate, accuracy_of
from shearbench.evaluation.files import table
from shearbench.evaluation.transfer import Reading, Readings
from shearbench.mechanics.loads import displacements_of
from shearbench.records import hash_of, write_record

Cell = tuple[str, str]
"""Dataset and model."""

_ACCURACY = ("n", "readings", "accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high")
_DATASETS = ["dataset", "model", "reads", "normalisation", "skipped", *_ACCURACY]
_STEPS = ["dataset", "model", "step", "displacement", "trained", "way", *_ACCURACY]


def write_transfer(
    folder: Path, runs: Mapping[Cell, Sequence[FoldRun]], readings: Mapping[Cell, Sequence[Readings]]
) -> None:
    """Write ``datasets.csv``, ``severity.csv`` and, last, the record that vouches for them.

    ``datasets.csv``: ``dataset, model, reads, normalisation, skipped``, then the columns of :func:`accuracy_of`;
    ``skipped`` says why there are none.

    ``severity.csv``: ``dataset, model, step, displacement, trained, way``, then the same columns; ``trained`` marks the
    step that the networks were trained at.

    Args:
        folder: ``build/transfer``.
        runs: the folds of each cell.
        readings: what each of them read.
    """
    steps = [row for cell, folds in runs.items() for row in _step_rows(cell, folds[0], readings[cell])]
    datasets = [row for cell in runs for row in _dataset_rows(cell, readings[cell])]
    digests = {f"{dataset}-{model}": [run.digest for run in folds] for (dataset, model), folds in runs.items()}
    read_on = sorted({each.device for of_cell in readings.values() for each in of_cell})
    write_record(
        folder,
        {"networks": digests, "read_on": read_on, "hashes": {"networks": hash_of(digests)}},
        {
            "datasets.csv": table(pd.DataFrame(datasets, columns=_DATASETS)),
            "severity.csv": table(pd.DataFrame(steps, columns=_STEPS)),
        },
    )


def _dataset_rows(cell: Cell, networks: Sequence[Readings]) -> Iterator[dict[str, Any]]:
    """Yield a row for each dataset that the networks of a cell read, and normalisation."""
    for same in zip(*(network.datasets for network in networks), strict=True):
        facts = {"dataset": cell[0], "model": cell[1], "reads": same[0].name, "normalisation": same[0].way}
        yield {**facts, "skipped": same[0].skipped, **({} if same[0].skipped else _accuracy(same))}


def _step_rows(cell: Cell, run: FoldRun, networks: Sequence[Readings]) -> Iterator[dict[str, Any]]:
    """Yield a row for each step that the networks of a cell read, and way."""
    entry = run.record["config"]["entry"]
    for same in zip(*(network.steps for network in networks), strict=True):
        step = int(same[0].name)
        yield {
            "dataset": cell[0],
            "model": cell[1],
            "step": step,
            "displacement": displacements_of(entry["load"])[step],
            "trained": step == entry["step"],
            "way": same[0].way,
            **_accuracy(same),
        }


def _accuracy(same: Sequence[Reading]) -> Estimate:
    return accuracy_of(np.stack([each.correct for each in same]), np.stack([each.rows for each in same]))

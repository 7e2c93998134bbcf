"""Summarise transfer: the tables of ``build/transfer/``, all runs on other datasets and steps of their loads."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.transfer.measure import InputResult, TransferResult
from shearbench.mechanics.loads import displacements_of
from shearbench.plotting.files import table
from shearbench.predictions.folds import FoldRun
from shearbench.predictions.scores import Estimate, accuracy_of
from shearbench.records import hash_of, write_record

Run = tuple[str, str]
"""Dataset and model."""

_ACCURACY = ("n", "readings", "accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high")
_DATASETS = ["dataset", "model", "reads", "normalisation", "skipped", *_ACCURACY]
_STEPS = ["dataset", "model", "step", "displacement", "trained", "adaptation", *_ACCURACY]


def write_transfer(
    folder: Path, fold_runs: Mapping[Run, Sequence[FoldRun]], results: Mapping[Run, Sequence[TransferResult]]
) -> None:
    """Write ``datasets.csv``, ``severity.csv`` and, last, their record.

    ``datasets.csv``: ``dataset, model, reads, normalisation, skipped``, then the columns of :func:`accuracy_of`;
    ``skipped`` is the reason if they are empty.

    ``severity.csv``: ``dataset, model, step, displacement, trained, adaptation``, then the same columns; ``trained``
    marks the step that the networks were trained at.
    """
    steps = [row for run, folds in fold_runs.items() for row in _step_rows(run, folds[0], results[run])]
    datasets = [row for run in fold_runs for row in _dataset_rows(run, results[run])]
    digests = {
        f"{dataset}-{model}": [fold_run.digest for fold_run in folds] for (dataset, model), folds in fold_runs.items()
    }
    read_on = sorted({each.device for of_run in results.values() for each in of_run})
    files = {
        "datasets.csv": table(pd.DataFrame(datasets, columns=_DATASETS)),
        "severity.csv": table(pd.DataFrame(steps, columns=_STEPS)),
    }
    write_record(folder, {"networks": digests, "read_on": read_on, "hashes": {"networks": hash_of(digests)}}, files)


def _dataset_rows(run: Run, networks: Sequence[TransferResult]) -> Iterator[dict[str, Any]]:
    """Yield a row for each other dataset and normalisation of a run."""
    for same in zip(*(network.datasets for network in networks), strict=True):
        facts = {"dataset": run[0], "model": run[1], "reads": same[0].name, "normalisation": same[0].adaptation}
        yield {**facts, "skipped": same[0].skipped, **({} if same[0].skipped else _accuracy(same))}


def _step_rows(run: Run, fold_run: FoldRun, networks: Sequence[TransferResult]) -> Iterator[dict[str, Any]]:
    """Yield a row for each step and adaptation of a run."""
    entry = fold_run.record["config"]["entry"]
    for same in zip(*(network.steps for network in networks), strict=True):
        step = int(same[0].name)
        facts = {"dataset": run[0], "model": run[1], "step": step, "adaptation": same[0].adaptation}
        facts |= {"displacement": displacements_of(entry["load"])[step], "trained": step == entry["step"]}
        yield {**facts, **_accuracy(same)}


def _accuracy(same: Sequence[InputResult]) -> Estimate:
    return accuracy_of(np.stack([each.correct for each in same]), np.stack([each.rows for each in same]))

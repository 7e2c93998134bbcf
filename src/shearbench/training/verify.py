"""Verify stored folds: train them again in a temporary folder and compare the files.

On the machine that trained them the files should be bit-equal. Other processors round differently, and training
magnifies the differences. If no probability differs by more than ``TOLERANCE``, the verdict is "within tolerance".
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shearbench.execution import Workers
from shearbench.records import read_npz, read_record
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.results import OUT_OF_FOLD

TOLERANCE = 1e-3


@dataclass(frozen=True)
class Verdict:
    """The result of training a fold again.

    ``changed`` names the inputs (``config``, ``data``, ``folds``, ``code``) that are no longer those of the record,
    ``files`` the files that differ; ``distance`` is the largest difference between two probabilities.
    """

    folder: Path
    verdict: Literal["bit-equal", "within tolerance", "different"]
    changed: tuple[str, ...]
    files: tuple[str, ...]
    distance: float
    cause: str = ""
    """Why bits may differ for the same inputs: the instruction sets of both trainings; empty if equal."""


def verify(runs: Sequence[Path], *, datasets: Path, workers: Workers) -> list[Verdict]:
    """Train the folds in folders (``runs``) again and compare them with the stored ones, which are not changed.

    Raises:
        InputError: if a record or its data are missing or damaged.
        TasksFailed: after the other folds have finished, naming each fold that could not be trained.
    """
    records = [read_record(folder) for folder in runs]
    with tempfile.TemporaryDirectory(prefix="shearbench-verify-") as scratch:
        tasks = []
        for number, record in enumerate(records):
            dataset, out = datasets / record["dataset"], Path(scratch) / str(number)
            config = TrainingConfig.from_record(record)
            tasks.append(fold_task(config, record["fold"], dataset=dataset, out=out))
        new_records = train_folds(tasks, workers=workers, label="verify")
        folders = [task.out for task in tasks]
        return [_compare(*item) for item in zip(runs, records, folders, new_records, strict=True)]


def _compare(folder: Path, record: dict[str, Any], new_folder: Path, new_record: dict[str, Any]) -> Verdict:
    files, changed = (_differing(record[key], new_record[key]) for key in ("files", "hashes"))
    sets = record["instructions"], new_record["instructions"]
    cause = "" if sets[0] == sets[1] else f"trained with {sets[0]}, here with {sets[1]}"
    stored, again = (read_npz(path / OUT_OF_FOLD) for path in (folder, new_folder))
    same_samples = np.array_equal(stored["ids"], again["ids"])
    distance = float(abs(stored["probabilities"] - again["probabilities"]).max()) if same_samples else 1.0
    if not files:
        return Verdict(folder, "bit-equal", changed, files, distance, cause)
    near = distance <= TOLERANCE
    return Verdict(folder, "within tolerance" if near else "different", changed, files, distance, cause)


def _differing(stored: dict[str, str], again: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in stored if stored[name] != again.get(name)))

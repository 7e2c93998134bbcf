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

from shearbench.data.dataset import FOLDS
from shearbench.execution import Workers, run_tasks
from shearbench.records import read_npz, read_record
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import FoldTask, fold_task, train_fold
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
    """Train folds again and compare them with the stored ones, which are not changed.

    Args:
        runs: folders of folds, ``build/runs/<dataset>/<model>/fold-<k>``.
        datasets: ``build/datasets``.
        workers: number of processes, or ``"auto"``.

    Raises:
        InputError: if a record or its data are missing or damaged.
        TasksFailed: after the other folds have finished, naming each fold that could not be trained.
    """
    records = [read_record(folder) for folder in runs]
    with tempfile.TemporaryDirectory(prefix="shearbench-verify-") as scratch:
        tasks = [
            _task(record, datasets=datasets, out=Path(scratch) / str(number)) for number, record in enumerate(records)
        ]
        run_tasks(
            train_fold,
            tasks,
            workers=workers,
            label="verify",
            name=lambda task: f"{task.config.dataset}-{task.config.model} fold {task.fold}",
            units=lambda task: task.config.units,
            reads=FoldTask.reads,
            writes=FoldTask.writes,
        )
        return [_compare(*item) for item in zip(runs, records, tasks, strict=True)]


def _task(record: dict[str, Any], *, datasets: Path, out: Path) -> FoldTask:
    config, dataset = TrainingConfig.from_record(record), datasets / record["dataset"]
    return fold_task(config, record["fold"], dataset=dataset, folds=dataset / FOLDS, out=out)


def _compare(folder: Path, record: dict[str, Any], task: FoldTask) -> Verdict:
    new_record = read_record(task.out)
    files, sets = new_record["files"], (record["instructions"], new_record["instructions"])
    cause = "" if sets[0] == sets[1] else f"trained with {sets[0]}, here with {sets[1]}"
    differing = tuple(sorted(name for name in record["files"] if record["files"][name] != files.get(name)))
    changed = tuple(sorted(name for name in record["hashes"] if record["hashes"][name] != task.hashes[name]))
    stored, again = (read_npz(path / OUT_OF_FOLD) for path in (folder, task.out))
    same_samples = np.array_equal(stored["ids"], again["ids"])
    distance = float(abs(stored["probabilities"] - again["probabilities"]).max()) if same_samples else 1.0
    if not differing:
        return Verdict(folder, "bit-equal", changed, differing, distance, cause)
    near = distance <= TOLERANCE
    return Verdict(folder, "within tolerance" if near else "different", changed, differing, distance, cause)

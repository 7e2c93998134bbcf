"""Cross-validate one run: one task per fold on all cores, and one record per fold.

A fold with a record of the same hashes is up to date. An unfinished fold resumes from its checkpoint. The result equals
that of an uninterrupted run bit for bit, for any order of the folds and any number of workers.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.dataset import CARD, FOLDS, Dataset, load, read_card
from shearbench.data.folds import read_folds
from shearbench.errors import InputError
from shearbench.execution import Advance, Workers, run_tasks
from shearbench.models.contract import restored
from shearbench.records import RECORD, is_finished, locked_folder, read_record, write_record
from shearbench.training import results
from shearbench.training.checkpoint import CHECKPOINT, CHECKPOINT_SECONDS, Training
from shearbench.training.config import Selection, TrainingConfig, assemble, code_hash, select
from shearbench.training.hardware import instructions, naming_the_batch, settle
from shearbench.training.state import Meter, facts_of

Made = tuple[dict[str, Any], results.Files]
"""The measured part of a fold's record, and the writers of the files beside it."""


@dataclass(frozen=True)
class FoldTask:
    """One fold to train, by its number, with the folders of its dataset and record and the hashes of its inputs."""

    config: TrainingConfig
    fold: int
    dataset: Path
    out: Path
    hashes: dict[str, str]
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def reads(self) -> tuple[Path, ...]:
        """Return the input files of the training, including the checkpoint to resume from."""
        return (self.dataset / CARD, self.dataset / "train.npz", self.dataset / FOLDS, self.out / CHECKPOINT)

    def writes(self) -> tuple[Path, ...]:
        """Return the folder of the record, and the record itself, which is written last."""
        return (self.out, self.out / RECORD)


def cross_validate(
    config: TrainingConfig,
    *,
    dataset: Path,
    out: Path,
    workers: Workers,
    only: Iterable[int] | None = None,
) -> list[dict[str, Any]]:
    """Train every fold, or ``only`` some, except those that are up to date; return their records, in order.

    Args:
        config: the training config.
        dataset: folder of the dataset with its fold table; its test set is not opened.
        out: folder of the run; folders of folds that do not exist are removed.
        workers: where the folds are trained.
        only: numbers of the folds to train; all folds of all repeats by default.

    Raises:
        TasksFailed: after the other folds have finished, naming each fold that failed.
        InputError: if the data or the fold table are missing or damaged.
    """
    every = read_folds(dataset / FOLDS).numbers
    remove_surplus(out, len(every))
    tasks = [
        fold_task(config, number, dataset=dataset, out=out / f"fold-{number}")
        for number in (every if only is None else sorted(set(only)))
    ]
    return train_folds(tasks, workers=workers, label=f"train {config.dataset}-{config.model}")


def train_folds(tasks: Sequence[FoldTask], *, workers: Workers, label: str) -> list[dict[str, Any]]:
    """Train folds of any runs in one pool, except those that are up to date; return their records, in order.

    Raises:
        TasksFailed: after the other folds have finished, naming each that failed.
    """
    run_tasks(
        train_fold,
        [task for task in tasks if not is_up_to_date(task)],
        workers=workers,
        label=label,
        name=lambda task: f"{task.config.dataset}-{task.config.model} fold {task.fold}",
        units=lambda task: task.config.units,
        reads=FoldTask.reads,
        writes=FoldTask.writes,
    )
    for task in tasks:
        _remove_remains(task.out)
    return [read_record(task.out) for task in tasks]


def fold_task(config: TrainingConfig, number: int, *, dataset: Path, out: Path) -> FoldTask:
    """Return the task of a fold, with the hashes of config, data, folds and code that its record will store."""
    hashes = {
        "config": config.config_hash,
        "data": str(read_card(dataset)["hashes"]["train"]),
        "folds": read_folds(dataset / FOLDS).hash_of(number),
        "code": code_hash(config),
    }
    return FoldTask(config, number, dataset, out, hashes)


def train_fold(task: FoldTask, advance: Advance) -> None:
    """Train one fold, from its checkpoint if there is one, and write its record.

    Raises:
        InputError: if another process trains the same fold.
    """
    task.out.mkdir(parents=True, exist_ok=True)
    busy = f"another process trains {task.out}; wait for it or end it (`shearbench doctor` names what is at work here)"
    with locked_folder(task.out, busy=busy):
        _train_fold(task, advance)


def _train_fold(task: FoldTask, advance: Advance) -> None:
    settle(task.config.hardware)
    if code_hash(task.config) != task.hashes["code"]:
        raise InputError(
            f"{task.config.architecture} has other code here than where its training was planned; "
            "bring the code and networks/ of both to one state"
        )
    dataset, table = load(task.dataset, "train"), read_folds(task.dataset / FOLDS)
    if not np.array_equal(dataset.ids, table.ids):
        raise InputError(f"{task.dataset} has not the ids of its {FOLDS}; run `dvc repro`")
    rows = select(table, dataset.labels, fold=task.fold, config=task.config)
    with restored():  # a user's network may change torch's settings; restore them after the fold
        fit_fold = _fit_classifier if task.config.recipe is None else _train_network
        measured, files = fit_fold(task, dataset, rows, advance)
    identity = {
        "dataset": task.config.dataset,
        "model": task.config.model,
        "fold": task.fold,
        "seed": task.config.seed,
        "classes": list(dataset.classes),
        "inputs": list(dataset.inputs.shape[1:]),
        "config": task.config.config,
        "hashes": task.hashes,
        "gpu": task.config.hardware.gpu,
        "instructions": instructions(),
    }
    write_record(task.out, {**identity, **measured}, files)
    _remove_remains(task.out)


def _train_network(task: FoldTask, dataset: Dataset, rows: Selection, advance: Advance) -> Made:
    """Train a network; return the measured part of its record, and the writers of its files."""
    with naming_the_batch(task.config.training.batch):
        training_state = assemble(task.config, dataset, rows, seed=task.config.seed_of(task.fold))
    (task.out / RECORD).unlink(missing_ok=True)  # an outdated record; the fold is unfinished from here on
    path, seconds = task.out / CHECKPOINT, task.checkpoint_seconds
    training = Training(training_state, path, hashes=task.hashes, seconds=seconds)
    advance(len(training.costs))
    training.run(advance)
    progress, costs = training.progress, training.costs
    advance(task.config.units - len(progress.history))  # the epochs that early stopping saved
    predictions = results.held_out(training_state, dataset, rows.validation)
    measured = results.facts(training_state, rows, progress, predictions)
    return {**facts_of(costs, costs), **measured}, results.files(training_state, progress, predictions)


def _fit_classifier(task: FoldTask, dataset: Dataset, rows: Selection, advance: Advance) -> Made:
    """Fit a classifier of scikit-learn; same results as :func:`_train_network`."""
    from shearbench.training import classifier  # imports scikit-learn, which networks do not need

    meter = Meter()
    pipeline = classifier.fit(task.config, dataset, rows.train, seed=task.config.seed_of(task.fold))
    (task.out / RECORD).unlink(missing_ok=True)
    advance(1)
    return classifier.result(pipeline, dataset, rows, cost=meter.cost())


def is_up_to_date(task: FoldTask) -> bool:
    """Return True if the fold has a complete record for this config, data and code."""
    try:
        return is_finished(task.out) and read_record(task.out)["hashes"] == task.hashes
    except InputError:  # the record is damaged, so the fold is trained again
        return False


def remove_surplus(out: Path, count: int) -> None:
    """Remove folders of folds that are not in the table."""
    for folder in out.glob("fold-*"):
        number = folder.name.removeprefix("fold-")
        if not number.isdecimal() or int(number) >= count:
            shutil.rmtree(folder)


def _remove_remains(folder: Path) -> None:
    """Remove the checkpoint of a finished fold and temporary files left by a kill."""
    for path in [folder / CHECKPOINT, *folder.glob(".*.tmp")]:
        path.unlink(missing_ok=True)

"""Train one trial of a study up to a rung, from its checkpoint, and score it on the inner part.

A checkpoint stores the state of a trial between rungs, so no epoch is trained twice. A killed trial resumes from it. A
trial opens only the folder of the tuning part.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.dataset import CARD, Dataset, load
from shearbench.data.folds import FoldTable, read_folds
from shearbench.errors import Diverged, HyperparametersFailed, OutOfMemory
from shearbench.execution import Advance
from shearbench.records import hash_arrays, hash_of, read_json, write_json
from shearbench.seeds import seed_for
from shearbench.training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, write_checkpoint
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble, code_hash
from shearbench.training.crossval import CHECKPOINT_SECONDS
from shearbench.training.hardware import naming_the_batch, settle
from shearbench.training.loop import fit
from shearbench.training.space import needs_no_less_memory
from shearbench.training.state import EpochCost, Meter, Progress

FOLDS = "folds.npz"


@dataclass(frozen=True)
class TrialTask:
    """The training of one trial, until it has ``epochs``.

    ``part`` is the folder of the tuning part, ``folder`` the trial's own, ``refused`` that of the study's notes on
    trials that ran out of memory.
    """

    config: TrainingConfig
    part: Path
    folder: Path
    refused: Path
    epochs: int
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def reads(self) -> tuple[Path, ...]:
        """Return the inputs of the trial: the tuning part, its own checkpoint, and the notes on lack of memory."""
        return (self.part / CARD, self.part / "train.npz", self.part / FOLDS, self.folder, self.refused)

    def writes(self) -> tuple[Path, ...]:
        """Return the folders of its checkpoint and of its note."""
        return (self.folder, self.refused)


@dataclass(frozen=True)
class Point:
    """An epoch of a trial. ``kept`` is the accuracy of the weights that the training would return if it ended here."""

    train_loss: float
    train_accuracy: float
    loss: float
    accuracy: float
    kept: float


@dataclass(frozen=True)
class TrialResult:
    """The epochs of a trial so far, whether it is over, and the reason of a failure."""

    curve: tuple[Point, ...] = ()
    over: bool = False
    failure: str | None = None
    out_of_memory: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class _RungReached(Exception):
    """Raised at the rung, after its checkpoint is written, to end the training."""


def rows_of_trials(table: FoldTable, config: TrainingConfig) -> Selection:
    """Return the rows that every trial trains on and the inner part that it is scored on.

    No fold of the tuning part holds out the inner part. With patience it also decides early stopping.
    """
    inner = table.reserved_rows
    train = np.setdiff1d(np.arange(len(table.ids)), inner)
    stops = config.recipe is not None and config.recipe.patience is not None
    return Selection(train, inner, inner if stops else None)


def run_trial(task: TrialTask, advance: Advance) -> TrialResult:
    """Train one trial up to its rung. The trial fails if its loss diverges or memory runs out."""
    settle(task.config.hardware)
    reason = _refused(task)
    if reason:
        return TrialResult(failure=reason, out_of_memory=True)
    dataset, table = load(task.part, "train"), read_folds(task.part / FOLDS)
    rows = rows_of_trials(table, task.config)
    reserved = reserved_of(dataset, rows)
    seed = seed_for(task.config.seed, "tune", task.config.dataset, task.config.model)
    if task.config.recipe is None:
        return _fitted(task.config, dataset, rows, reserved, seed)
    recipe = task.config.recipe
    training = _Training(task, reserved)
    try:
        with naming_the_batch(recipe.batch):
            training_state = assemble(task.config, dataset, rows, seed=seed)
            training.run(training_state, advance)
    except OutOfMemory as error:
        _refuse(task)
        return TrialResult(training.curve, failure=str(error), out_of_memory=True, facts={"reserved": reserved})
    except Diverged as error:
        return TrialResult(training.curve, failure=str(error), facts={"reserved": reserved})
    facts = {
        "parameters": sum(parameter.numel() for parameter in training_state.network.parameters()),
        "seconds": sum(cost.seconds for cost in training.costs),
        "reserved": reserved,
    }
    return TrialResult(training.curve, training.progress.is_over(recipe), facts=facts)


def _fitted(
    config: TrainingConfig, dataset: Dataset, rows: Selection, reserved: dict[str, str], seed: int
) -> TrialResult:
    """Fit a classifier of scikit-learn, which counts as one epoch. The trial fails if the fit fails."""
    from shearbench.training import classifier  # imports scikit-learn, which only classifiers need

    meter = Meter()
    try:
        pipeline = classifier.fit(config, dataset, rows.train, seed=seed)
    except HyperparametersFailed as error:
        return TrialResult(failure=str(error), facts={"reserved": reserved})
    found, _ = classifier.result(pipeline, dataset, rows, cost=meter.cost())
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_accuracy")
    point = Point(*(found["metrics"][name] for name in names))
    facts = {"parameters": found["parameters"], "seconds": found["seconds"], "reserved": reserved}
    return TrialResult((point,), over=True, facts=facts)


def reserved_of(dataset: Dataset, rows: Selection) -> dict[str, str]:
    """Return the hashes of a trial's data: of all arrays, of the training ids and of the scored ids."""
    assert rows.validation is not None
    return {
        "data": dataset.content_hash,
        "train": hash_arrays(dataset.ids[rows.train]),
        "inner": hash_arrays(dataset.ids[rows.validation]),
    }


class _Training:
    """The training of a trial, with periodic checkpoints and one at its rung."""

    def __init__(self, task: TrialTask, reserved: dict[str, str]) -> None:
        self.task = task
        self.path = task.folder / CHECKPOINT
        code = code_hash(task.config)
        self.hashes = {"config": task.config.config_hash, "code": code, **reserved}
        self.progress = Progress()
        self.costs: list[EpochCost] = []

    @property
    def curve(self) -> tuple[Point, ...]:
        """The epochs so far."""
        points: list[Point] = []
        best = float("inf")
        for epoch in self.progress.history:
            assert epoch.validation is not None
            if epoch.inner is None or epoch.inner.loss < best:
                accuracy = epoch.validation.accuracy
                best = epoch.validation.loss
            scores = (epoch.train.loss, epoch.train.accuracy, epoch.validation.loss, epoch.validation.accuracy)
            points.append(Point(*scores, accuracy))
        return tuple(points)

    def run(self, training_state: TrainingState, advance: Advance) -> None:
        """Train until the rung, or until the recipe is over."""
        found = read_checkpoint(self.path, hashes=self.hashes, device=self.task.config.device)
        if found:
            found.restore(training_state.network, training_state.optimiser)
            self.progress, self.costs = found.progress, list(found.costs)
        if len(self.progress.history) >= self.task.epochs or self.progress.is_over(self.task.config.training):
            return
        meter, last_checkpoint = Meter(), time.monotonic()

        def on_epoch_end(progress: Progress) -> None:
            nonlocal last_checkpoint
            self.progress = progress
            self.costs.append(meter.cost())
            reached = len(progress.history) >= self.task.epochs or progress.is_over(self.task.config.training)
            if reached or time.monotonic() - last_checkpoint >= self.task.checkpoint_seconds:
                state = Checkpoint.of(
                    training_state.network, training_state.optimiser, progress=progress, costs=self.costs
                )
                write_checkpoint(self.path, state, hashes=self.hashes)
                last_checkpoint = time.monotonic()
            meter.restart()
            advance(1)
            if reached:
                raise _RungReached

        try:
            fit(
                training_state.network,
                training_state.optimiser,
                training_state.splits,
                training_state.fit_config,
                start=self.progress,
                on_epoch_end=on_epoch_end,
            )
        except _RungReached:
            return


def _refused(task: TrialTask) -> str | None:
    """Return why a task is not trained: one that needs no more memory has run out of it, possibly a moment ago."""
    if task.config.recipe is None:
        return None
    point = _size(task.config)
    for path in sorted(task.refused.glob("*.json")):
        other = read_json(path)
        if needs_no_less_memory(point, other):
            return f"not tried: batch {other['batch']} at width {other['width']} did not fit into memory"
    return None


def _refuse(task: TrialTask) -> None:
    point = _size(task.config)
    write_json(task.refused / f"{hash_of(point)[:12]}.json", point)


def _size(config: TrainingConfig) -> dict[str, Any]:
    """Return the values that decide how much memory a network needs."""
    return {"batch": config.training.batch, "width": config.width, **config.options}

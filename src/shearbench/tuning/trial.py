"""Trials and rungs of a search: train one trial up to a rung, from its checkpoint, and score it on the inner part.

Successive halving over epochs: many trials start, the better share continues at each rung, one reaches the end. All
trials of a bracket train to the first rung. The best ``1/reduction`` of them continue to the next rung, and so on. Each
rung waits for the whole bracket (synchronous halving), so the choice never depends on which trial was faster. Source:
Jamieson and Talwalkar, AISTATS 2016 (arXiv 1502.07943). In Hyperband (Li et al., JMLR 18, 2018) this is the bracket
with the most trials.

The learning-rate schedule covers all epochs of the recipe, so a trial that stops is the beginning of the full training.
A trial that improves late can lose at an early rung. The finalists are therefore trained in full.

A checkpoint stores the state of a trial between rungs, so no epoch is trained twice. A killed trial resumes from it. A
trial opens only the folder of the tuning part.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.dataset import CARD, FOLDS, Dataset, load
from shearbench.data.folds import FoldTable, read_folds
from shearbench.errors import Diverged, HyperparametersFailed, OutOfMemory
from shearbench.execution import Advance
from shearbench.records import hash_arrays, hash_of, read_json, write_json
from shearbench.seeds import seed_for
from shearbench.training.checkpoint import CHECKPOINT, CHECKPOINT_SECONDS, Training
from shearbench.training.config import Selection, TrainingConfig, assemble, code_hash
from shearbench.training.hardware import naming_the_batch, settle
from shearbench.training.recipe import needs_no_less_memory
from shearbench.training.state import Meter, Progress


@dataclass(frozen=True)
class Rung:
    """``trials`` of a bracket train until they have ``epochs``."""

    epochs: int
    trials: int


@dataclass(frozen=True)
class Halving:
    """The resources of a bracket: a full training has ``epochs``; the best ``1/reduction`` continue from each rung."""

    epochs: int
    reduction: int
    rungs: int

    @property
    def size(self) -> int:
        """Number of trials in a bracket; one of them reaches the last rung."""
        return int(self.reduction ** (self.rungs - 1))

    @property
    def plan(self) -> tuple[Rung, ...]:
        """The rungs in order; a rung that adds no epoch is left out."""
        found: list[Rung] = []
        for left in reversed(range(self.rungs)):
            share = self.reduction**left
            rung = Rung(-(-self.epochs // share), share)
            if not found or rung.epochs > found[-1].epochs:
                found.append(rung)
        return tuple(found)

    @property
    def cost(self) -> int:
        """The largest number of epochs that a bracket trains, over all its trials."""
        starts = (0, *(rung.epochs for rung in self.plan))
        return sum((rung.epochs - start) * rung.trials for rung, start in zip(self.plan, starts, strict=False))


def best_of(scores: Mapping[int, float], count: int) -> list[int]:
    """Return the ``count`` keys with the highest scores, the lower key of equal ones, in ascending order."""
    return sorted(sorted(scores, key=lambda number: (-scores[number], number))[:count])


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
        return (self.folder, self.refused)


@dataclass(frozen=True)
class Point:
    """An epoch of a trial.

    ``stored`` is the accuracy of the weights that early stopping would keep if training ended after this epoch.
    """

    train_loss: float
    train_accuracy: float
    loss: float
    accuracy: float
    stored: float


@dataclass(frozen=True)
class TrialResult:
    """The epochs of a trial so far, whether it is over, and the reason of a failure."""

    curve: tuple[Point, ...] = ()
    over: bool = False
    failure: str | None = None
    out_of_memory: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def rows_of_trials(table: FoldTable, config: TrainingConfig) -> Selection:
    """Return the rows that every trial trains on and the inner part that it is scored on.

    No fold of the tuning part holds out the inner part. With patience it also decides early stopping.
    """
    inner = table.reserved_rows
    train = np.setdiff1d(np.arange(len(table.ids)), inner)
    stops = config.recipe is not None and config.recipe.patience is not None
    return Selection(train, inner, inner if stops else None)


def run_trial(task: TrialTask, advance: Advance) -> TrialResult:
    """Train one trial up to its rung. The trial fails if its loss diverges or memory runs out.

    ``facts["reserved"]`` of the result has the hashes of all arrays of the tuning part, of the ids of the training
    samples and of the ids of the inner part.
    """
    settle(task.config.hardware)
    if reason := _refused(task):
        return TrialResult(failure=reason, out_of_memory=True)
    dataset, table = load(task.part, "train"), read_folds(task.part / FOLDS)
    rows = rows_of_trials(table, task.config)
    reserved = {
        "data": dataset.content_hash,
        "train": hash_arrays(dataset.ids[rows.train]),
        "inner": hash_arrays(dataset.ids[table.reserved_rows]),
    }
    seed = seed_for(task.config.seed, "tune", task.config.dataset, task.config.model)
    if task.config.recipe is None:
        result = _fit_classifier(task.config, dataset, rows, seed)
    else:
        result = _train_network(task, dataset, rows, seed, reserved, advance)
    return replace(result, facts={**result.facts, "reserved": reserved})


def _fit_classifier(config: TrainingConfig, dataset: Dataset, rows: Selection, seed: int) -> TrialResult:
    """Fit a classifier of scikit-learn, which counts as one epoch. The trial fails if the fit fails."""
    from shearbench.training import classifier  # imports scikit-learn, which only classifiers need

    meter = Meter()
    try:
        pipeline = classifier.fit(config, dataset, rows.train, seed=seed)
    except HyperparametersFailed as error:
        return TrialResult(failure=str(error))
    found, _ = classifier.result(pipeline, dataset, rows, cost=meter.cost())
    names = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "validation_accuracy")
    point = Point(*(found["metrics"][name] for name in names))
    return TrialResult((point,), over=True, facts={name: found[name] for name in ("parameters", "seconds")})


def _train_network(
    task: TrialTask, dataset: Dataset, rows: Selection, seed: int, reserved: dict[str, str], advance: Advance
) -> TrialResult:
    """Train a network until its rung, or until its recipe is over."""
    hashes = {"config": task.config.config_hash, "code": code_hash(task.config), **reserved}
    recipe, training = task.config.training, None
    try:
        with naming_the_batch(recipe.batch):
            state = assemble(task.config, dataset, rows, seed=seed)
            training = Training(state, task.folder / CHECKPOINT, hashes=hashes, seconds=task.checkpoint_seconds)
            training.run(advance, until=task.epochs)
    except (OutOfMemory, Diverged) as error:
        if out_of_memory := isinstance(error, OutOfMemory):
            _refuse(task)
        curve = _curve(training.progress) if training else ()
        return TrialResult(curve, failure=str(error), out_of_memory=out_of_memory)
    facts = {
        "parameters": sum(parameter.numel() for parameter in state.network.parameters()),
        "seconds": sum(cost.seconds for cost in training.costs),
    }
    return TrialResult(_curve(training.progress), training.progress.is_over(recipe), facts=facts)


def _curve(progress: Progress) -> tuple[Point, ...]:
    points, best = [], math.inf
    for epoch in progress.history:
        assert epoch.validation is not None
        train, inner = epoch.train, epoch.validation
        if epoch.inner is None or epoch.inner.loss < best:
            best, stored = inner.loss, inner.accuracy
        points.append(Point(train.loss, train.accuracy, inner.loss, inner.accuracy, stored))
    return tuple(points)


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

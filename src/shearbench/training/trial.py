"""One trial of a study: train a setting on one part of the training folds and score it on an inner part of them.

What a trial sees comes from the training part of fold 0 alone, so that neither a held-out part nor the test set is
touched: ``rows_of_trials`` splits it, once for all trials, models and datasets.
"""

from dataclasses import dataclass
from pathlib import Path

from shearbench.data.dataset import load
from shearbench.data.folds import FoldTable, inner_split, read_folds
from shearbench.errors import InputError
from shearbench.execution import Advance
from shearbench.seeds import seed_for
from shearbench.training.experiment import Experiment, Rows, Selection, assemble
from shearbench.training.hardware import settle
from shearbench.training.loop import fit


@dataclass(frozen=True)
class TrialTask:
    """A setting to try, as an experiment of its own, and where its data lies."""

    experiment: Experiment
    dataset: Path
    folds: Path


@dataclass(frozen=True)
class TrialResult:
    """Accuracy on the inner part, or why there is none."""

    accuracy: float | None
    failure: str | None = None


def rows_of_trials(table: FoldTable, labels: Rows, experiment: Experiment) -> Selection:
    """Return the rows that every trial trains and is scored on; with patience the scored part also stops it."""
    outer, _ = table.split(0)
    train, inner = inner_split(
        table.ids[outer],
        labels[outer],
        fraction=experiment.inner_fraction,
        seed=seed_for(experiment.seed, "tune", "inner"),
    )
    stops = None if experiment.recipe.patience is None else outer[inner]
    return Selection(outer[train], outer[inner], stops)


def run_trial(task: TrialTask, advance: Advance) -> TrialResult:
    """Train one setting and return its accuracy on the inner part; a loss that diverges is a failed trial."""
    settle(task.experiment.hardware)
    dataset, table = load(task.dataset, "train"), read_folds(task.folds)
    rows = rows_of_trials(table, dataset.labels, task.experiment)
    seed = seed_for(task.experiment.seed, "tune", task.experiment.dataset, task.experiment.model)
    trainee = assemble(task.experiment, dataset, rows, seed=seed)
    try:
        progress = fit(
            trainee.network, trainee.optimiser, trainee.parts, trainee.setting, on_epoch_end=lambda _: advance(1)
        )
    except InputError as error:  # not finite, or out of memory: this setting's own failure
        return TrialResult(None, str(error))
    advance(task.experiment.recipe.epochs - len(progress.history))
    kept = progress.history[progress.kept_epoch - 1].validation
    assert kept is not None
    return TrialResult(kept.accuracy)

"""The finalists: cross-validation of the best trials and the present hyperparameters on the tuning part.

Each finalist is trained in full, like a fold of the pipeline, on folds of the samples that scored no trial. So the
finalists are compared on samples that did not select them. Every fold also trains on the inner part, so n_test/n_train
is smaller than the corrected t-test assumes, and the test is slightly conservative.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shearbench.errors import HyperparametersFailed, InputError, TasksFailed
from shearbench.execution import Advance, Workers, run_tasks
from shearbench.records import read_record
from shearbench.statistics.resampled_t import corrected_t, correlated_t
from shearbench.statistics.verdict import decide, holm
from shearbench.training.crossval import FoldTask, fold_task, is_up_to_date, train_fold
from shearbench.training.recipe import Hyperparameters
from shearbench.tuning.study import Trial
from shearbench.tuning.tuned import Difference

if TYPE_CHECKING:
    from shearbench.tuning.job import Job


@dataclass(frozen=True)
class Finalist:
    """The hyperparameters of a trial with their accuracy in each fold, or the ``reason`` why they have none."""

    trial: int
    hyperparameters: Hyperparameters
    accuracies: tuple[float, ...]
    parameters: int
    seconds: float
    """Training time of one fold, mean over the folds."""
    epochs: int
    """Number of trained epochs, over all folds."""
    samples: int
    """Number of scored samples, over all folds."""
    reason: str | None = None

    @property
    def mean(self) -> float:
        return sum(self.accuracies) / len(self.accuracies)


@dataclass(frozen=True)
class Final:
    """The winner against the present hyperparameters; ``difference`` is None if there is nothing to compare."""

    finalists: tuple[Finalist, ...]
    winner: Finalist
    present: Finalist
    difference: Difference | None = None


def cross_validate_trials(job: "Job", trials: Sequence[Trial], *, out: Path, label: str) -> list[Finalist]:
    """Train every fold of every finalist on the tuning part, except the folds that are up to date.

    Their records are ``out/trial-<n>/fold-<k>/``; ``label`` names the work in the progress bar. Return the finalists in
    the order of ``trials``; if a fold failed, the finalist has the reason in place of accuracies.
    """
    folds = range(job.resources.folds)
    tasks = {
        (trial.number, fold): fold_task(
            job.config.varied(trial.hyperparameters),
            fold,
            dataset=job.part,
            out=out / f"trial-{trial.number:03d}" / f"fold-{fold}",
        )
        for trial in trials
        for fold in folds
    }
    reasons = _train({key: task for key, task in tasks.items() if not is_up_to_date(task)}, job.workers, label)
    return [
        Finalist(trial.number, trial.hyperparameters, (), 0, 0.0, 0, 0, reasons[trial.number])
        if trial.number in reasons
        else _finalist(trial, [read_record(tasks[trial.number, fold].out) for fold in folds])
        for trial in trials
    ]


def decide_winner(finalists: Sequence[Finalist], *, present: int, rope: float, alpha: float) -> Final:
    """Return the finalist with the highest mean accuracy, and the verdict on it against the present hyperparameters.

    Of equal ``finalists`` the earlier trial wins. Trial ``present`` has the present hyperparameters, ``rope`` is the
    half-width of the region of practical equivalence, and ``alpha`` the level of the family of all finalists against
    the present hyperparameters, by Holm.

    Raises:
        InputError: if no finalist could be trained.
    """
    done = [finalist for finalist in finalists if finalist.reason is None]
    now = next(finalist for finalist in finalists if finalist.trial == present)
    if not done:
        reasons = "; ".join(sorted({str(finalist.reason) for finalist in finalists}))
        raise InputError(f"no finalist could be cross-validated ({reasons}); move the search space in params.yaml")
    winner = max(done, key=lambda finalist: (finalist.mean, -finalist.trial))
    if winner is now or now.reason is not None:
        return Final(tuple(finalists), winner, now)
    others = [finalist for finalist in done if finalist is not now]
    tests = [corrected_t(finalist.accuracies, now.accuracies, level=1 - alpha) for finalist in others]
    place = others.index(winner)
    t, p = tests[place], holm([test.p for test in tests])[place]
    verdict = decide(p, correlated_t(winner.accuracies, now.accuracies, rope=rope), alpha=alpha)
    mean, low, high, p_holm = (round(value, 6) for value in (t.difference, t.low, t.high, p))
    difference = Difference(mean=mean, low=low, high=high, p_holm=p_holm, verdict=verdict.word, rule=verdict.rule)
    return Final(tuple(finalists), winner, now, difference)


def _train(tasks: dict[tuple[int, int], FoldTask], workers: Workers, label: str) -> dict[int, str]:
    """Train folds; return trial -> reason, for each trial with a failed fold."""
    try:
        reasons = run_tasks(
            _train_or_reason,
            list(tasks.values()),
            workers=workers,
            label=label,
            name=lambda task: f"{task.out.parent.name} {task.out.name}",
            units=lambda task: task.config.units,
            reads=FoldTask.reads,
            writes=FoldTask.writes,
        )
    except TasksFailed as error:
        found = {**error.results, **error.died}
        if len(found) < len(tasks):
            raise
        reasons = [found[index] for index in range(len(tasks))]
    return {trial: reason for (trial, _), reason in zip(tasks, reasons, strict=True) if reason}


def _train_or_reason(task: FoldTask, advance: Advance) -> str | None:
    """Train a fold; return the reason if its hyperparameters failed (loss diverged, out of memory)."""
    try:
        train_fold(task, advance)
    except HyperparametersFailed as error:
        return str(error)
    return None


def _finalist(trial: Trial, records: Sequence[dict[str, Any]]) -> Finalist:
    return Finalist(
        trial.number,
        trial.hyperparameters,
        tuple(record["metrics"]["validation_accuracy"] for record in records),
        records[0]["parameters"],
        sum(record["seconds"] for record in records) / len(records),
        sum(record["epochs"] for record in records),
        sum(record["sizes"]["validation"] for record in records),
    )

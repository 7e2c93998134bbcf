"""A search from end to end: the tuning part, the trials and the finalists; ``shearbench tune`` and DVC's stage run it.

``build/tuning/`` holds ``splits/<dataset>/`` and ``studies/<dataset>-<model>-<hash>/`` with the study's journal, the
checkpoints of its trials and the folds of its finalists. The hash covers data, code, training config, space and
resources: a search with other ones is a new study, and the same search resumes.

Each finalist is trained in full, like a fold of the pipeline, on folds of the samples that scored no trial. So the
finalists are compared on samples that did not select them. Every fold also trains on the inner part, so n_test/n_train
is smaller than the corrected t-test assumes, and the test is slightly conservative.
"""

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from shearbench.data.dataset import CARD, FOLDS, TUNING_PART, Dataset, load, read_card, write_dataset
from shearbench.data.folds import RESERVED, FoldTable, make_folds, part_of, read_part, split_off, write_folds
from shearbench.data.units import units_of
from shearbench.errors import HyperparametersFailed, InputError, TasksFailed
from shearbench.execution import Advance, Workers, run_tasks
from shearbench.params import Tuning
from shearbench.records import hash_of, locked, read_json, read_record
from shearbench.seeds import seed_for
from shearbench.statistics.resampled_t import corrected_t, correlated_t
from shearbench.statistics.verdict import decide, holm
from shearbench.training.config import TrainingConfig, code_hash
from shearbench.training.crossval import FoldTask, fold_task, is_up_to_date, train_fold
from shearbench.training.recipe import WIDTH, Hyperparameters, Space, as_json, including
from shearbench.tuning.search import Standing, ranked, search
from shearbench.tuning.study import Study, Trial
from shearbench.tuning.trial import Halving, TrialResult, TrialTask, run_trial
from shearbench.tuning.tuned import Difference

JOURNAL = "journal.log"


@dataclass(frozen=True)
class Job:
    """A model to tune on a dataset; ``config`` has its present hyperparameters. ``build`` is the folder ``build/``."""

    config: TrainingConfig
    space: Space
    resources: Tuning
    build: Path
    rope: float
    alpha: float
    workers: Workers

    @property
    def name(self) -> str:
        """``<dataset>-<model>``."""
        return f"{self.config.dataset}-{self.config.model}"

    @property
    def present(self) -> Hyperparameters:
        """The present hyperparameters, which the search tries to beat."""
        return self.config.values_of(self.space)

    @property
    def halving(self) -> Halving:
        return Halving(self.config.units, self.resources.reduction, self.resources.rungs)

    @property
    def brackets(self) -> int:
        """The fewest brackets with at least the wanted number of trials."""
        return math.ceil(self.resources.trials / self.halving.size)

    @property
    def part(self) -> Path:
        return self.build / "tuning" / "splits" / self.config.dataset

    @property
    def reserve(self) -> int:
        """The largest number of epochs after the search: of the finalists, and of one trial of each other width."""
        widths = including(self.space, self.present).get(WIDTH) if self.resources.sizes else None
        others = len(widths) - 1 if isinstance(widths, tuple) else 0
        return (self.resources.finalists + 1 + others) * self.resources.folds * self.config.units


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


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The result of a search. ``sizes``: the best trials of widths without a finalist; none of them can win."""

    study: Study
    folder: Path
    trials: tuple[Trial, ...]
    final: Final
    sizes: tuple[Finalist, ...]
    part: Dataset


def run(job: Job) -> SearchResult:
    """Search, or resume a search, and cross-validate the finalists.

    Raises:
        InputError: if another process runs this search, no trial has a score, or there are too few samples.
        TasksFailed: if a trial failed for another reason than its hyperparameters.
    """
    part = write_part(job)
    study, folder = study_of(job, part)
    resources = job.resources
    with locked(folder / "lock", busy=f"another process is searching {study.name}; wait for it, or end it"):
        trials = search(
            study,
            partial(_train_rung, job, folder),
            trials=resources.trials,
            timeout=resources.timeout,
            reserve=job.reserve,
            # The checkpoints of large networks would fill the disk.
            forget=lambda number: shutil.rmtree(_trial_folder(folder, number), ignore_errors=True),
        )
        order = ranked(trials, study.halving)
        chosen = order[: resources.finalists]
        finalists = chosen if any(trial.number == 0 for trial in chosen) else [*chosen, trials[0]]
        out = folder / "finalists"
        scores = cross_validate_trials(job, finalists, out=out, label=f"cross-validate the best of {job.name}")
        final = decide_winner(scores, rope=job.rope, alpha=job.alpha)
        with_sizes = resources.sizes and isinstance(job.space.get(WIDTH), tuple)
        others = best_of_other_widths(order, finalists) if with_sizes else []
        sizes = cross_validate_trials(job, others, out=out, label=f"cross-validate other widths of {job.name}")
    return SearchResult(study, folder, tuple(trials), final, tuple(sizes), part)


def best_of_other_widths(order: Sequence[Trial], finalists: Sequence[Trial]) -> list[Trial]:
    """Return the first trial in ``order`` of each width without a finalist, the narrowest first."""
    first: dict[Any, Trial] = {}
    for trial in order:
        first.setdefault(trial.hyperparameters[WIDTH], trial)
    taken = {trial.hyperparameters[WIDTH] for trial in finalists}
    return [first[width] for width in sorted(first) if width not in taken]


def study_of(job: Job, part: Dataset) -> tuple[Study, Path]:
    """Return the study of a job on its tuning part, and the folder of its files."""
    halving, config = job.halving, job.config
    kind = [asdict(halving), job.resources.inner_fraction, job.resources.folds]
    identity = hash_of([config.config_hash, as_json(job.space), kind, part.content_hash, code_hash(config)])
    name = f"{job.name}-{identity[:12]}"
    folder = job.build / "tuning" / "studies" / name
    storage = folder / JOURNAL if job.resources.storage == "default" else job.resources.storage
    space = including(job.space, job.present)
    return Study(storage, name, job.name, config.seed, space, job.present, halving), folder


def write_part(job: Job) -> Dataset:
    """Return the tuning part as a dataset of its own, the only data that a search opens; write it unless it exists.

    Its folder has ``train.npz``, ``card.json`` and ``folds.npz``. An inner part, which no fold holds out, scores the
    trials; the other samples train them. The folds divide these others and score the finalists, on other samples than
    those that selected them. The inner part then trains in every fold.

    Raises:
        InputError: if there are too few samples for the inner part or the folds.
    """
    dataset, resources, seed = job.build / "datasets" / job.config.dataset, job.resources, job.config.seed
    part = part_of(load(dataset, "train"), read_part(dataset / TUNING_PART))
    if not len(part.ids):
        raise InputError(
            f"{job.config.dataset} has too few samples for a tuning part; use more samples, or change tuning.share in "
            "params.yaml and run `dvc repro`"
        )
    facts = {
        "inner_fraction": resources.inner_fraction,
        "folds": resources.folds,
        "seed": seed,
        "of": read_card(dataset)["hashes"]["train"],
    }
    with locked(job.part.with_name(f".{job.part.name}.lock")):
        if (job.part / CARD).is_file() and read_json(job.part / CARD).get("part") == facts:
            return load(job.part, "train")
        units = units_of(part.inputs, part.groups)
        inner = split_off(
            units,
            part.labels,
            share=resources.inner_fraction,
            seed=seed_for(seed, "tune", "inner"),
            parameter="tuning.inner_fraction",
        )
        table = np.full(len(part.ids), RESERVED, np.int64)
        fold_seed = seed_for(seed, "tune", "folds")
        table[~inner] = make_folds(units[~inner], part.labels[~inner], folds=resources.folds, seed=fold_seed)
        write_folds(job.part / FOLDS, FoldTable(part.ids, table[np.newaxis], units))
        write_dataset(job.part, {"train": part}, {"part": facts})
    return part


def _train_rung(job: Job, folder: Path, trials: Sequence[Trial], standing: Standing) -> list[TrialResult]:
    """Train the trials of a rung on all cores; return their results. A trial fails if its process died twice."""
    Console(stderr=True).print(f"{job.name}: {standing.text}", highlight=False, soft_wrap=True)
    tasks = [
        TrialTask(
            job.config.varied(trial.hyperparameters),
            job.part,
            _trial_folder(folder, trial.number),
            folder / "refused",
            standing.rung.epochs,
        )
        for trial in trials
    ]
    starts = {task.folder: len(trial.curve) for task, trial in zip(tasks, trials, strict=True)}
    try:
        return run_tasks(
            run_trial,
            tasks,
            workers=job.workers,
            label=f"tune {job.name}",
            name=lambda task: task.folder.name,
            units=lambda task: task.epochs - starts[task.folder],
            among=(standing.epochs_done, standing.epochs_planned + job.reserve),
            reads=TrialTask.reads,
            writes=TrialTask.writes,
        )
    except TasksFailed as error:
        if len(error.results) + len(error.died) < len(tasks):
            raise
        return [
            error.results.get(index) or TrialResult(failure=error.died[index], out_of_memory=True)
            for index in range(len(tasks))
        ]


def _trial_folder(folder: Path, number: int) -> Path:
    return folder / "trials" / f"trial-{number:03d}"


def cross_validate_trials(job: Job, trials: Sequence[Trial], *, out: Path, label: str) -> list[Finalist]:
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
    reasons = _train_folds({key: task for key, task in tasks.items() if not is_up_to_date(task)}, job.workers, label)
    return [
        Finalist(trial.number, trial.hyperparameters, (), 0, 0.0, 0, 0, reasons[trial.number])
        if trial.number in reasons
        else _finalist(trial, [read_record(tasks[trial.number, fold].out) for fold in folds])
        for trial in trials
    ]


def decide_winner(finalists: Sequence[Finalist], *, rope: float, alpha: float) -> Final:
    """Return the finalist with the highest mean accuracy, and the verdict on it against the present hyperparameters.

    Of equal ``finalists`` the earlier trial wins. Trial 0 has the present hyperparameters. ``rope`` is the half-width
    of the region of practical equivalence, and ``alpha`` the level of the family of all finalists against the present
    hyperparameters, by Holm.

    Raises:
        InputError: if no finalist could be trained.
    """
    done = [finalist for finalist in finalists if finalist.reason is None]
    now = next(finalist for finalist in finalists if finalist.trial == 0)
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


def _train_folds(tasks: dict[tuple[int, int], FoldTask], workers: Workers, label: str) -> dict[int, str]:
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

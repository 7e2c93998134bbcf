"""A search from end to end: the tuning part, the trials and the finalists; ``shearbench tune`` and DVC's stage run it.

``build/tuning/`` holds ``splits/<dataset>/`` and ``studies/<dataset>-<model>-<hash>/`` with the study's journal, the
checkpoints of its trials and the folds of its finalists. The hash covers data, code, training config, space and
resources: a search with other ones is a new study, and the same search resumes.
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
from shearbench.errors import TasksFailed
from shearbench.execution import Workers, run_tasks
from shearbench.params import Tuning
from shearbench.records import hash_of, locked, read_json
from shearbench.seeds import seed_for
from shearbench.training.config import TrainingConfig, code_hash
from shearbench.training.recipe import WIDTH, Hyperparameters, Space, as_json, including
from shearbench.tuning.finalists import Final, Finalist, cross_validate_trials, decide_winner
from shearbench.tuning.search import Standing, ranked, search
from shearbench.tuning.study import Study, Trial
from shearbench.tuning.trial import Halving, TrialResult, TrialTask, run_trial

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
        final = decide_winner(scores, present=0, rope=job.rope, alpha=job.alpha)
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

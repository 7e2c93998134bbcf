"""The evidence on every pair of runs, from the predictions that training and evaluation stored, and the leakage check.

Reads ``build/runs/``, ``build/evaluation/``, ``build/datasets/`` and ``build/samples/``.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from shearbench.data.dataset import FOLDS, TUNING_PART, load
from shearbench.data.folds import read_folds, read_part, refuse_overlap
from shearbench.errors import InputError
from shearbench.predictions.evaluated import Origins, read_origins, run_of
from shearbench.predictions.folds import FoldRun, read_fold_run, read_fold_runs
from shearbench.predictions.scores import BySample, by_sample
from shearbench.records import is_finished, read_npz
from shearbench.statistics.pairs import Comparisons, compare_all
from shearbench.statistics.pilot import Pilot, measured
from shearbench.statistics.runs import Design, Plan, Run


def compare_runs(build: Path, names: Iterable[tuple[str, str]], *, plan: Plan) -> Comparisons:
    """Compare every pair of models on a dataset and every pair of datasets for a model.

    Raises:
        InputError: if folds are missing, data or folds differ, or a test sample is also a training sample.
    """
    return compare_all(runs_of(build, names, plan.design), plan)


def runs_of(build: Path, names: Iterable[tuple[str, str]], design: Design) -> list[Run]:
    """Return finished runs (dataset, model) as inputs of the statistics; InputError if a fold is missing."""
    origins = read_origins(build / "samples")
    return [_run(build, dataset, model, design, origins) for dataset, model in names]


def _run(build: Path, dataset: str, model: str, design: Design, origins: Origins) -> Run:
    fold_runs = read_fold_runs(build / "runs" / dataset / model, design.n)
    test = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")
    held_out = by_sample([fold_run.out_of_fold for fold_run in fold_runs], of=f"{dataset}-{model}")
    return run_of(fold_runs, held_out, BySample(test["ids"], test["labels"], test["probabilities"]), origins)


def pilot_of_folds(build: Path, a: tuple[str, str], b: tuple[str, str]) -> Pilot:
    """Return the pilot of two runs (dataset, model), from the folds that both have finished.

    Raises:
        InputError: if there are fewer than two such folds, or they hold out other samples than the fold table.
    """
    fold_runs = [_finished(build / "runs" / dataset / model) for dataset, model in (a, b)]
    common = sorted(fold_runs[0].keys() & fold_runs[1].keys())
    names = " and ".join("-".join(run) for run in (a, b))
    if len(common) < 2:
        raise InputError(
            f"a pilot needs 2 folds that {names} have both finished, but there are {len(common)}; run `dvc repro`"
        )
    folder = build / "datasets" / a[0]
    table, discordance, clusters = read_folds(folder / FOLDS), [], []
    origins, tested = read_origins(build / "samples"), len(load(folder, "test").ids)
    for number in common:
        one, other = (each[number].out_of_fold for each in fold_runs)
        train_on = fold_runs[0][number].record["config"]["train_on"]
        held_out = table.ids[table.split(number, train_on)[1]] if number in table.numbers else ()
        if not (np.array_equal(one.ids, held_out) and np.array_equal(other.ids, held_out)):
            raise InputError(f"{names}: fold {number} is not that of {folder / FOLDS}; run `dvc repro` for both")
        discordance.append(one.correct.astype(np.int64) - other.correct)
        clusters.append(origins.clusters_of(one.ids))
    return measured(discordance, clusters, scored=len(table.ids) - len(table.reserved_rows) + tested, tested=tested)


def _finished(folder: Path) -> dict[int, FoldRun]:
    """Return the finished folds of a run, by number."""
    fold_runs = [read_fold_run(path) for path in sorted(folder.glob("fold-*")) if is_finished(path)]
    return {fold_run.fold: fold_run for fold_run in fold_runs}


def refuse_leakage(build: Path, runs: Iterable[tuple[str, str]], *, networks: int) -> None:
    """Refuse scores of tuned runs on samples of the tuning part, by id and by image, out of fold and on the test set.

    ``runs`` are (dataset, model) of the runs with tuned hyperparameters, with ``networks`` networks each.

    Raises:
        InputError: naming the run, the number of such samples, and the first of them.
    """
    origins = read_origins(build / "samples")
    for dataset, model in runs:
        part = read_part(build / "datasets" / dataset / TUNING_PART)
        name = f"{dataset}-{model}"
        fold_runs = read_fold_runs(build / "runs" / dataset / model, networks)
        held_out = np.unique(np.concatenate([fold_run.out_of_fold.ids for fold_run in fold_runs]))
        tested = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")["ids"]
        for ids, what in ((held_out, "samples that the folds hold out"), (tested, "test samples")):
            refuse_overlap(name, part, ids, what)
            refuse_overlap(name, origins.images_of(part), origins.images_of(ids), f"images of the {what}")

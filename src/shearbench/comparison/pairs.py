"""The evidence on every pair of runs, from the predictions that training and evaluation stored.

Reads ``build/runs/``, ``build/evaluation/`` and ``build/samples/``; passes correctness per sample to ``statistics``.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import FOLDS, SPLITS, Split, load, read_samples, sources_in
from shearbench.data.folds import read_folds
from shearbench.errors import InputError
from shearbench.predictions.folds import FoldRun, overlap_of, read_fold_run, read_fold_runs
from shearbench.records import is_finished, read_npz
from shearbench.statistics.crossed import clusters_of
from shearbench.statistics.design import Design
from shearbench.statistics.pairs import Comparisons, compare_all
from shearbench.statistics.pilot import Pilot, measured
from shearbench.statistics.runs import Plan, Run

Content = NDArray[Any]


def compare_runs(build: Path, names: Iterable[tuple[str, str]], *, plan: Plan) -> Comparisons:
    """Compare every pair of models on a dataset and every pair of datasets for a model.

    Args:
        build: the folder ``build/`` with finished runs and evaluations.
        names: (dataset, model) of each run.
        plan: folds, repeats, levels, regions of equivalence and differences to detect, declared before the run.

    Raises:
        InputError: if folds are missing, data or folds differ, or a test sample is also a training sample.
    """
    return compare_all(runs_of(build, names, plan.design), plan)


def runs_of(build: Path, names: Iterable[tuple[str, str]], design: Design) -> list[Run]:
    """Return finished runs (dataset, model) as inputs of the statistics; InputError if a fold is missing."""
    writers = groups_by_id(build / "samples")
    content, test_content = (content_by_id(build / "samples", split) for split in SPLITS)
    return [_run(build, dataset, model, design, content, test_content, writers) for dataset, model in names]


def pilot_of_folds(build: Path, a: tuple[str, str], b: tuple[str, str]) -> Pilot:
    """Return the pilot of two runs, from the folds that both have finished.

    Args:
        build: the folder ``build/``.
        a: (dataset, model).
        b: (dataset, model).

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
    groups, tested = groups_by_id(build / "samples"), len(load(folder, "test").ids)
    for number in common:
        one, other = (each[number].out_of_fold for each in fold_runs)
        train_on = fold_runs[0][number].record["config"]["train_on"]
        held_out = table.ids[table.split(number, train_on)[1]] if number in table.numbers else ()
        if not (np.array_equal(one.ids, held_out) and np.array_equal(other.ids, held_out)):
            raise InputError(f"{names}: fold {number} is not that of {folder / FOLDS}; run `dvc repro` for both")
        discordance.append((one.classes == one.labels).astype(np.int64) - (other.classes == other.labels))
        clusters.append(clusters_of(np.array([groups[int(each)] for each in one.ids]), one.ids))
    return measured(discordance, clusters, scored=len(table.ids) - len(table.reserved_rows) + tested, tested=tested)


def _finished(folder: Path) -> dict[int, FoldRun]:
    """Return the finished folds of a run, by number."""
    fold_runs = [read_fold_run(path) for path in sorted(folder.glob("fold-*")) if is_finished(path)]
    return {fold_run.fold: fold_run for fold_run in fold_runs}


def _run(
    build: Path,
    dataset: str,
    model: str,
    design: Design,
    content: Mapping[int, bytes],
    test_content: Mapping[int, bytes],
    writers: Mapping[int, int],
) -> Run:
    fold_runs = read_fold_runs(build / "runs" / dataset / model, design.n)
    repeats = [_out_of_fold(fold_runs[first : first + design.folds]) for first in range(0, design.n, design.folds)]
    ids = repeats[0][0]
    if any(not np.array_equal(ids, others) for others, _, _ in repeats):
        raise InputError(f"{dataset}-{model}: not every repeat predicts the same digits; run `dvc repro`")
    test = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")
    test_correct = test["probabilities"].argmax(axis=2) == test["labels"]
    return Run(
        dataset=dataset,
        model=model,
        data_hash=fold_runs[0].record["hashes"]["data"],
        ids=ids,
        folds=np.stack([folds % design.folds for _, folds, _ in repeats]),
        correct=np.stack([correct for _, _, correct in repeats]),
        test_ids=test["ids"],
        test_correct=test_correct.reshape(len(repeats), -1, len(test["ids"])),
        content=np.array([content[number] for number in ids]),
        test_content=np.array([test_content[number] for number in test["ids"]]),
        groups=np.array([writers[int(number)] for number in ids]),
        test_groups=np.array([writers[int(number)] for number in test["ids"]]),
        train_size=float(np.mean([fold_run.record["sizes"]["train"] for fold_run in fold_runs])),
        disjoint=not overlap_of(fold_runs),
    )


def _out_of_fold(fold_runs: list[FoldRun]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the sorted ids of one repeat, the fold that holds each out, and whether its prediction is correct."""
    predictions = [fold_run.out_of_fold for fold_run in fold_runs]
    ids = np.concatenate([each.ids for each in predictions])
    folds = np.concatenate(
        [np.full(len(each.ids), fold_run.fold) for fold_run, each in zip(fold_runs, predictions, strict=True)]
    )
    correct = np.concatenate([each.probabilities.argmax(axis=1) == each.labels for each in predictions])
    order = np.argsort(ids)
    return ids[order], folds[order], correct[order]


def content_by_id(folder: Path, split: Split) -> dict[int, bytes]:
    """Return id -> hash of the image that all datasets are made from, for each sample of every source."""
    return {
        int(number): hashlib.sha256(image.tobytes()).hexdigest().encode()
        for source in sources_in(folder, split)
        for samples in [read_samples(folder, split, source)]
        for number, image in zip(samples.ids, samples.images, strict=True)
    }


def groups_by_id(folder: Path) -> dict[int, int]:
    """Return id -> group (writer), for each sample of every source; -1 if unknown."""
    return {
        int(number): int(group)
        for split in SPLITS
        for source in sources_in(folder, split)
        for samples in [read_samples(folder, split, source)]
        for number, group in zip(samples.ids, samples.groups, strict=True)
    }

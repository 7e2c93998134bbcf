"""Results of an ablation on the held-out test set: predictions of each fold -> accuracies, verdicts, running averages.

All results follow from predictions, fold records and the files of diagnosed trainings. ``bn_statistics`` are those that
a network predicts with (:mod:`shearbench.analysis.batch_norm.statistics`); ``during_training`` is the running mean of
the last epoch, in training mode.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shearbench.ablation.predict import Reading, share_right
from shearbench.analysis.batch_norm.statistics import AS_TRAINED, RECALIBRATED
from shearbench.data.dataset import Dataset
from shearbench.predictions.folds import FoldRun, overlap_of
from shearbench.statistics.crossed import accuracy_interval, clusters_of
from shearbench.statistics.pairs import Comparison, as_family, compare_pair, row
from shearbench.statistics.resampled_t import corrected_t
from shearbench.statistics.runs import Plan, Run

DURING_TRAINING = "during_training"
SPLITS = ("train", "held_out", "test")


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """One model on one dataset: its folds, and the predictions of each for the same test samples."""

    fold_runs: Sequence[FoldRun]
    readings: Sequence[Reading]
    test: Dataset

    @property
    def dataset(self) -> str:
        """The name of the dataset."""
        return str(self.fold_runs[0].record["dataset"])

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.fold_runs[0].record["model"])

    @property
    def train_size(self) -> int:
        """Number of samples that a fold's network trains on, averaged over the folds."""
        return round(float(np.mean([fold_run.record["sizes"]["train"] for fold_run in self.fold_runs])))

    @property
    def is_nested(self) -> bool:
        """Whether ``train_size`` limits its folds to a part of their training samples."""
        return float(self.fold_runs[0].record["config"].get("train_size", 1)) < 1

    @property
    def networks_by_statistics(self) -> list[str]:
        """The kinds of batch-norm statistics that it predicts the test samples with."""
        return list(self.readings[0].test)


def fold_table(runs: Sequence[RunPredictions]) -> pd.DataFrame:
    """Return a row ``dataset, model, fold, split, bn_statistics, n, accuracy`` for each measured accuracy."""
    return pd.DataFrame([line for run in runs for line in _fold_rows(run)])


def accuracy_table(folds: pd.DataFrame, runs: Sequence[RunPredictions], groups: Mapping[int, int]) -> pd.DataFrame:
    """Return mean and spread over the folds of :func:`fold_table`.

    Columns: ``dataset, model, split, bn_statistics, folds, n, mean, sd, low, high``; ``n`` counts different samples, of
    all folds for ``held_out``. The 95 % interval of ``held_out`` and ``test`` is for other samples and another training
    (:func:`shearbench.statistics.crossed.accuracy_interval`). That of ``train`` is for another training alone
    (corrected resampled t over the folds, clipped to 0 .. 1).
    """
    names = ["dataset", "model", "split", "bn_statistics"]
    by_run = {(run.dataset, run.model): run for run in runs}
    rows = []
    for key, part in folds.groupby(names, sort=False):
        row = {**dict(zip(names, key, strict=True)), **_summary(part)}
        if row["split"] != "train":
            run = by_run[row["dataset"], row["model"]]
            row["low"], row["high"] = _interval(run, row["split"], row["bn_statistics"], groups)
        rows.append(row)
    return pd.DataFrame(rows)


def train_size_table(accuracies: pd.DataFrame, runs: Sequence[RunPredictions]) -> pd.DataFrame:
    """Return the cross-validated rows of :func:`accuracy_table`, with ``curve`` and ``train_size`` of each run.

    The rows of one architecture on one dataset are one curve, sorted by size and named after its last model.
    """
    of_run = {
        (run.dataset, run.model): (run.fold_runs[0].record["config"]["architecture"], run.train_size) for run in runs
    }
    rows = accuracies[(accuracies["split"] == "held_out") & (accuracies["bn_statistics"] == AS_TRAINED)]
    facts = [of_run[key] for key in zip(rows["dataset"], rows["model"], strict=True)]
    rows = rows.assign(architecture=[name for name, _ in facts], train_size=[size for _, size in facts])
    rows = rows.sort_values(["dataset", "architecture", "train_size"])
    names = rows.groupby(["dataset", "architecture"])["model"].transform("last")
    return rows.assign(curve=names).drop(columns="architecture")


def _interval(run: RunPredictions, split: str, bn_statistics: str, groups: Mapping[int, int]) -> tuple[float, float]:
    table = np.stack([one.test[bn_statistics].argmax(axis=1) == run.test.labels for one in run.readings]).astype(float)
    predictions = [fold_run.out_of_fold for fold_run in run.fold_runs]
    if split == "test":
        u, ids = table.mean(axis=0), run.test.ids
    else:
        held_out = [reading.held_out[bn_statistics].argmax(axis=1) for reading in run.readings]
        u = np.concatenate([each == one.labels for each, one in zip(held_out, predictions, strict=True)]).astype(float)
        ids = np.concatenate([one.ids for one in predictions])
    of_sample = np.array([groups[int(number)] for number in ids])
    return accuracy_interval(u, table, clusters_of(of_sample, ids), overlap=overlap_of(run.fold_runs))


def compare(
    runs: Sequence[RunPredictions], plan: Plan, content: Mapping[int, bytes], groups: Mapping[int, int]
) -> list[dict[str, Any]]:
    """Return one row per pair, from ``statistics.pairs.row``, with its ``family`` of simultaneous intervals.

    ``models``: on each dataset, the first model against every other. ``recalibration``: each model as trained against
    itself recalibrated. ``recalibrated models``: like ``models``, but each model with running averages recalibrated.
    ``datasets``: for each model, the first dataset against every other.

    Args:
        runs: in the order of ``params.yaml``.
        plan: declared before the run.
        content: id -> hash of the image that a sample is made from.
        groups: id -> writer, or -1.

    Raises:
        InputError: if a comparison is refused, for example because a test sample was trained on.
    """
    made = {
        (run.dataset, run.model, bn_statistics): _run(run, bn_statistics, content, groups)
        for run in runs
        for bn_statistics in run.readings[0].held_out
    }
    rows = []
    for family, pairs in _families(list(made)).items():
        run_pairs = [(made[a], made[b]) for a, b in pairs]
        compared: Sequence[Comparison] = [compare_pair(a, b, plan) for a, b in run_pairs]
        rows += [{"family": family, **row(one)} for one in as_family(compared, plan.design)]
    return rows


def recorded(runs: Sequence[RunPredictions], file: str, keys: Sequence[str]) -> pd.DataFrame:
    """Return :func:`recorded_runs` of these runs."""
    return recorded_runs({(run.dataset, run.model): run.fold_runs for run in runs}, file, keys)


def recorded_runs(
    fold_runs: Mapping[tuple[str, str], Sequence[FoldRun]], file: str, keys: Sequence[str]
) -> pd.DataFrame:
    """Return the mean over the folds of ``file``, which diagnosed trainings record, for each value of its ``keys``."""
    parts = []
    for (dataset, model), of_run in fold_runs.items():
        every = pd.concat([pd.read_csv(fold_run.folder / file) for fold_run in of_run])
        mean = every.groupby([*keys], sort=False, as_index=False).mean(numeric_only=True)
        parts.append(mean.assign(dataset=dataset, model=model, folds=len(of_run)))
    return pd.concat(parts, ignore_index=True)


Key = tuple[str, str, str]


def _families(made: Sequence[Key]) -> dict[str, list[tuple[Key, Key]]]:
    """Return the pairs of each family; ``made`` are (dataset, model, bn_statistics) in the order of ``params.yaml``."""
    datasets, models = (list(dict.fromkeys(key[place] for key in made)) for place in (0, 1))
    first, others = models[0], models[1:]
    as_trained = {(d, m): (d, m, AS_TRAINED) for d in datasets for m in models}
    recalibrated = {(d, m): (d, m, RECALIBRATED) for d, m in as_trained if (d, m, RECALIBRATED) in made}
    best = as_trained | recalibrated
    return {
        "models": [(as_trained[d, first], as_trained[d, m]) for d in datasets for m in others],
        "recalibration": [(as_trained[run], recalibrated[run]) for run in recalibrated],
        "recalibrated models": [
            (best[d, first], best[d, m])
            for d in datasets
            for m in others
            if (d, first) in recalibrated or (d, m) in recalibrated
        ],
        "datasets": [(as_trained[datasets[0], m], as_trained[d, m]) for m in models for d in datasets[1:]],
    }


def _fold_rows(run: RunPredictions) -> Iterator[dict[str, Any]]:
    for fold_run, reading in zip(run.fold_runs, run.readings, strict=True):
        same = {"dataset": run.dataset, "model": run.model, "fold": fold_run.fold}
        n = fold_run.record["sizes"]["train"]
        if fold_run.is_network:
            last = float(fold_run.history["train_accuracy"].iloc[-1])
            yield {**same, "split": "train", "bn_statistics": DURING_TRAINING, "n": n, "accuracy": last}
        for bn_statistics, accuracy in reading.train.items():
            yield {
                **same,
                "split": "train",
                "bn_statistics": bn_statistics,
                "n": reading.trained_on,
                "accuracy": accuracy,
            }
        for split, predictions, labels in (
            ("held_out", reading.held_out, fold_run.out_of_fold.labels),
            ("test", reading.test, run.test.labels),
        ):
            for bn_statistics, probabilities in predictions.items():
                accuracy = share_right(probabilities, labels)
                yield {**same, "split": split, "bn_statistics": bn_statistics, "n": len(labels), "accuracy": accuracy}


def _summary(part: pd.DataFrame) -> dict[str, Any]:
    scores = part["accuracy"].to_numpy()
    found = corrected_t(scores, np.zeros(len(scores)))
    return {
        "folds": len(part),
        "n": int(part["n"].sum() if part["split"].iloc[0] == "held_out" else part["n"].max()),
        "mean": found.difference,
        "sd": found.sd,
        "low": max(0.0, found.low),
        "high": min(1.0, found.high),
    }


def _run(run: RunPredictions, bn_statistics: str, content: Mapping[int, bytes], groups: Mapping[int, int]) -> Run:
    predictions = [fold_run.out_of_fold for fold_run in run.fold_runs]
    ids = np.concatenate([one.ids for one in predictions])
    order = np.argsort(ids)
    numbers = np.concatenate(
        [np.full(len(one.ids), fold_run.fold) for fold_run, one in zip(run.fold_runs, predictions, strict=True)]
    )
    hits = [
        reading.held_out[bn_statistics].argmax(axis=1) == one.labels
        for reading, one in zip(run.readings, predictions, strict=True)
    ]
    return Run(
        dataset=run.dataset,
        model=run.model if bn_statistics == AS_TRAINED else f"{run.model}, {bn_statistics}",
        data_hash=run.fold_runs[0].record["hashes"]["data"],
        ids=ids[order],
        folds=numbers[order][np.newaxis],
        correct=np.concatenate(hits)[order][np.newaxis],
        test_ids=run.test.ids,
        test_correct=np.stack([one.test[bn_statistics].argmax(axis=1) == run.test.labels for one in run.readings])[
            np.newaxis
        ],
        content=np.array([content[int(number)] for number in ids[order]]),
        test_content=np.array([content[int(number)] for number in run.test.ids]),
        groups=np.array([groups[int(number)] for number in ids[order]]),
        test_groups=np.array([groups[int(number)] for number in run.test.ids]),
        train_size=float(np.mean([fold_run.record["sizes"]["train"] for fold_run in run.fold_runs])),
        disjoint=not overlap_of(run.fold_runs),
    )

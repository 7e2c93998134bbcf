"""Results of an ablation on the held-out test set: predictions of each fold -> accuracies, verdicts, running averages.

All results follow from predictions, fold records and the files of diagnosed trainings. ``bn_statistics`` are those that
a network predicts with (:mod:`shearbench.analysis.batch_norm.statistics`); ``during_training`` is the running mean of
the last epoch, in training mode.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, RECALIBRATED
from shearbench.data.dataset import FOLDS, Dataset, load
from shearbench.data.folds import read_folds
from shearbench.execution.settings import Chosen
from shearbench.predictions.evaluated import Origins, run_of
from shearbench.predictions.folds import FoldRun, overlap_of
from shearbench.predictions.scores import BySample, Predictions, by_sample
from shearbench.records import read_npz
from shearbench.statistics.crossed import accuracy_interval
from shearbench.statistics.pairs import as_family, evidence_of, row
from shearbench.statistics.resampled_t import corrected_t
from shearbench.statistics.runs import Plan, check_run

Probabilities = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PredictionTask:
    """The inputs of a prediction: the folder of a fold run, and a dataset with both splits and the fold table."""

    fold_run: Path
    dataset: Path
    device: Chosen

    def reads(self) -> tuple[Path, ...]:
        """Return the folders that the task needs."""
        return (self.fold_run, self.dataset)


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """Predictions of one network, by batch-norm statistics.

    ``held_out`` (without batch statistics) and ``test`` are probabilities (n, classes); ``train`` is the accuracy on
    ``trained_on`` drawn training samples, and ``device`` the device of the predictions.
    """

    held_out: Probabilities
    test: Probabilities
    train: Mapping[str, float]
    trained_on: int
    device: str


def predict_fold(task: PredictionTask, advance: Callable[[int], None]) -> FoldPredictions:
    """Predict the test samples, the held-out samples and some training samples with one network, in float32.

    A diagnosed training predicts with all batch-norm statistics, any other one as trained only.
    """
    # Imported here: loading takes a second, and the process that distributes the tasks does not need it.
    from shearbench.analysis.batch_norm.predict import drawn_from, predictors_of
    from shearbench.training.config import TrainingConfig, select
    from shearbench.training.hardware import resolve, settle
    from shearbench.training.loop import EVALUATION_BATCH
    from shearbench.training.results import load_network

    hardware = resolve(task.device, "fp32")
    settle(hardware)
    network, normaliser, record = load_network(task.fold_run)
    config = TrainingConfig.from_record(record)
    train, test = load(task.dataset, "train"), load(task.dataset, "test")
    rows = select(read_folds(task.dataset / FOLDS), train.labels, fold=record["fold"], config=config)
    drawn = train.only(drawn_from(rows.train))
    batch = config.recipe.batch if config.recipe else EVALUATION_BATCH
    predictors = predictors_of(network, normaliser, drawn.inputs, batch=batch, hardware=hardware)
    if not config.diagnose:
        predictors = {AS_TRAINED: predictors[AS_TRAINED]}

    def predictions_of(data: Dataset) -> Probabilities:
        return {bn_statistics: predictor(data.inputs) for bn_statistics, predictor in predictors.items()}

    held_out = {AS_TRAINED: read_npz(task.fold_run / "out_of_fold.npz")["probabilities"]}
    if RECALIBRATED in predictors:
        held_out[RECALIBRATED] = predictors[RECALIBRATED](train.only(rows.validation).inputs)
    on_train = {
        bn_statistics: share_correct(probabilities, drawn.labels)
        for bn_statistics, probabilities in predictions_of(drawn).items()
    }
    found = FoldPredictions(held_out, predictions_of(test), on_train, len(drawn.ids), hardware.device)
    advance(1)
    return found


def share_correct(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of samples that are predicted correctly, 0 to 1."""
    return float((probabilities.argmax(axis=1) == labels).mean())


DURING_TRAINING = "during_training"
Key = tuple[str, str, str]
"""Dataset, model and batch-norm statistics."""


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """One model on one dataset: its folds, and the predictions of each for the same test samples."""

    dataset: str
    model: str
    fold_runs: Sequence[FoldRun]
    predictions: Sequence[FoldPredictions]
    test: Dataset

    @property
    def train_size(self) -> int:
        """Number of samples that a fold's network trains on, averaged over the folds."""
        return round(float(np.mean([fold_run.record["sizes"]["train"] for fold_run in self.fold_runs])))

    @property
    def is_nested(self) -> bool:
        """Whether ``train_size`` limits its folds to a part of their training samples."""
        return float(self.fold_runs[0].record["config"].get("train_size", 1)) < 1

    @property
    def name(self) -> str:
        """``<dataset>-<model>``."""
        return f"{self.dataset}-{self.model}"

    def held_out(self, bn_statistics: str) -> list[Predictions]:
        """Return the predictions of the samples that each fold holds out."""
        stored = [fold_run.out_of_fold for fold_run in self.fold_runs]
        return [
            replace(one, probabilities=predicted.held_out[bn_statistics])
            for one, predicted in zip(stored, self.predictions, strict=True)
        ]

    def tested(self, bn_statistics: str) -> BySample:
        """Return the predictions of the test samples."""
        probabilities = np.stack([one.test[bn_statistics] for one in self.predictions])
        return BySample(self.test.ids, self.test.labels, probabilities)


def fold_table(runs: Sequence[RunPredictions]) -> pd.DataFrame:
    """Return a row ``dataset, model, fold, split, bn_statistics, n, accuracy`` for each measured accuracy."""
    rows = [
        (run.dataset, run.model, fold_run.fold, *measured)
        for run in runs
        for fold_run, predicted in zip(run.fold_runs, run.predictions, strict=True)
        for measured in _accuracies(fold_run, predicted, run.test)
    ]
    return pd.DataFrame(rows, columns=["dataset", "model", "fold", "split", "bn_statistics", "n", "accuracy"])


def _accuracies(fold_run: FoldRun, predicted: FoldPredictions, test: Dataset) -> list[tuple[str, str, int, float]]:
    """Return (split, batch-norm statistics, n, accuracy) of a fold."""
    rows = []
    if fold_run.is_network:
        last = float(fold_run.history["train_accuracy"].iloc[-1])
        rows.append(("train", DURING_TRAINING, fold_run.record["sizes"]["train"], last))
    rows += [("train", name, predicted.trained_on, accuracy) for name, accuracy in predicted.train.items()]
    for split, by_statistics, labels in (
        ("held_out", predicted.held_out, fold_run.out_of_fold.labels),
        ("test", predicted.test, test.labels),
    ):
        rows += [(split, name, len(labels), share_correct(each, labels)) for name, each in by_statistics.items()]
    return rows


def accuracy_table(folds: pd.DataFrame, runs: Sequence[RunPredictions], origins: Origins) -> pd.DataFrame:
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
        row: dict[str, Any] = dict(zip(names, key, strict=True))
        run = by_run[row["dataset"], row["model"]]
        row |= _summary(part, test_to_train=overlap_of(run.fold_runs))
        if row["split"] != "train":
            row["low"], row["high"] = _interval(run, row["split"], row["bn_statistics"], origins)
        rows.append(row)
    return pd.DataFrame(rows)


def train_size_table(accuracies: pd.DataFrame, runs: Sequence[RunPredictions]) -> pd.DataFrame:
    """Return the cross-validated rows of :func:`accuracy_table`, with ``curve`` and ``train_size`` of each run.

    The rows of one architecture, width and options on one dataset are one curve, sorted by size and named after its
    last model.
    """
    facts = pd.DataFrame(
        [(run.dataset, run.model, _architecture(run), run.train_size) for run in runs],
        columns=["dataset", "model", "architecture", "train_size"],
    )
    rows = accuracies[(accuracies["split"] == "held_out") & (accuracies["bn_statistics"] == AS_TRAINED)]
    rows = rows.merge(facts, on=["dataset", "model"]).sort_values(["dataset", "architecture", "train_size"])
    names = rows.groupby(["dataset", "architecture"])["model"].transform("last")
    return rows.assign(curve=names).drop(columns="architecture")


def _architecture(run: RunPredictions) -> str:
    config = run.fold_runs[0].record["config"]
    return f"{config['architecture']}, width {config['width']}, {config['options']}"


def _interval(run: RunPredictions, split: str, bn_statistics: str, origins: Origins) -> tuple[float, float]:
    table = run.tested(bn_statistics).correct.astype(float)
    if split == "test":
        u, ids = table.mean(axis=0), run.test.ids
    else:
        held_out = run.held_out(bn_statistics)
        u = np.concatenate([one.correct for one in held_out]).astype(float)
        ids = np.concatenate([one.ids for one in held_out])
    return accuracy_interval(u, table, origins.clusters_of(ids), overlap=overlap_of(run.fold_runs))


def compare(runs: Sequence[RunPredictions], plan: Plan, origins: Origins) -> list[dict[str, Any]]:
    """Return one row per pair, from ``statistics.pairs.row``, with its ``family`` of simultaneous intervals.

    ``models``: on each dataset, the first model against every other. ``recalibration``: each model as trained against
    itself recalibrated. ``recalibrated models``: like ``models``, but each model with running averages recalibrated.
    ``datasets``: for each model, the first dataset against every other.

    Raises:
        InputError: if a comparison is refused, for example because a test sample was trained on.
    """
    made = {
        (run.dataset, run.model, bn_statistics): run_of(
            run.fold_runs,
            by_sample(run.held_out(bn_statistics)),
            run.tested(bn_statistics),
            origins,
            model=run.model if bn_statistics == AS_TRAINED else f"{run.model}, {bn_statistics}",
        )
        for run in runs
        for bn_statistics in run.predictions[0].held_out
    }
    for run in made.values():
        check_run(run, plan.design)
    rows = []
    for family, pairs in _families(list(made)).items():
        evidence = [evidence_of(made[a], made[b], plan) for a, b in pairs]
        rows += [{"family": family, **row(one)} for one in as_family(evidence, plan.design)]
    return rows


def recorded(fold_runs: Mapping[tuple[str, str], Sequence[FoldRun]], file: str, keys: Sequence[str]) -> pd.DataFrame:
    """Return the mean over the folds of ``file``, which diagnosed trainings record, for each value of its ``keys``."""
    parts = []
    for (dataset, model), of_run in fold_runs.items():
        every = pd.concat([pd.read_csv(fold_run.folder / file) for fold_run in of_run])
        mean = every.groupby([*keys], sort=False, as_index=False).mean(numeric_only=True)
        parts.append(mean.assign(dataset=dataset, model=model, folds=len(of_run)))
    return pd.concat(parts, ignore_index=True)


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


def _summary(part: pd.DataFrame, *, test_to_train: float) -> dict[str, Any]:
    scores = part["accuracy"].to_numpy()
    found = corrected_t(scores, np.zeros(len(scores)), test_to_train=test_to_train)
    return {
        "folds": len(part),
        "n": int(part["n"].sum() if part["split"].iloc[0] == "held_out" else part["n"].max()),
        "mean": found.difference,
        "sd": found.sd,
        "low": max(0.0, found.low),
        "high": min(1.0, found.high),
    }

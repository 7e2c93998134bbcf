"""The files of a trained fold: metrics and predictions of the best weights, history and batch losses as CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Dataset
from shearbench.records import write_npz, write_text
from shearbench.training.config import Selection, TrainingState
from shearbench.training.loop import diagnose, evaluate
from shearbench.training.state import Epoch, Progress, Score
from shearbench.training.weights import WEIGHTS, predict, write_weights

HISTORY, BATCHES, OUT_OF_FOLD = "history.csv", "batches.csv", "out_of_fold.npz"
GRADIENTS, LAGS, MODES = "gradients.csv", "lags.csv", "modes.csv"  # only with `diagnose`
_TINY = float(np.finfo(np.float32).tiny)  # limits the loss of a probability that underflowed to 0


Predictions = dict[str, NDArray[Any]]


def held_out(training_state: TrainingState, dataset: Dataset, rows: NDArray[np.int64]) -> Predictions:
    """Return the out-of-fold predictions: ``ids`` and ``labels`` (n,), ``probabilities`` float32 (n, classes)."""
    device = training_state.fit_config.hardware.device
    probabilities = predict(
        training_state.network, dataset.inputs[rows], normaliser=training_state.normaliser, device=device
    )
    return {"ids": dataset.ids[rows], "labels": dataset.labels[rows], "probabilities": probabilities}


def facts(
    training_state: TrainingState, rows: Selection, progress: Progress, predictions: Predictions
) -> dict[str, Any]:
    """Return the measured part of a fold's record except its times.

    The held-out samples are scored in fp32, from the stored predictions. The training part, which is many times larger,
    is scored in the precision of the training.
    """
    assert rows.validation is not None
    train = evaluate(
        training_state.network, training_state.splits.train, training_state.fit_config, progress.chosen_epoch
    )
    validation = score(predictions["probabilities"], predictions["labels"])
    if training_state.fit_config.diagnose:
        modes = progress.history[progress.chosen_epoch - 1].modes  # of the same weights
    else:
        _, modes = diagnose(training_state.network, training_state.splits, training_state.fit_config)
    return {
        "parameters": sum(parameter.numel() for parameter in training_state.network.parameters()),
        "epochs": len(progress.history),
        "best_epoch": progress.chosen_epoch,
        "batch_norm": asdict(modes) if modes else None,
        "metrics": {
            **{f"train_{key}": value for key, value in asdict(train).items()},
            **{f"validation_{key}": value for key, value in asdict(validation).items()},
        },
        "sizes": {
            "train": len(rows.train),
            "inner": 0 if rows.inner is None else len(rows.inner),
            "validation": len(rows.validation),
        },
    }


def files(
    training_state: TrainingState, progress: Progress, predictions: Predictions
) -> dict[str, Callable[[Path], None]]:
    """Return the writers of the files beside a record; equal trainings write equal bytes."""
    diagnosed = {
        GRADIENTS: lambda path: write_text(path, gradients_csv(progress.history)),
        LAGS: lambda path: write_text(path, lags_csv(progress.history)),
        MODES: lambda path: write_text(path, modes_csv(progress.history)),
    }
    return {
        WEIGHTS: lambda path: write_weights(path, training_state.network, training_state.normaliser),
        HISTORY: lambda path: write_text(path, history_csv(progress.history)),
        BATCHES: lambda path: write_text(path, batches_csv(progress.batch_losses)),
        OUT_OF_FOLD: lambda path: write_npz(path, predictions),
        **(diagnosed if training_state.fit_config.diagnose else {}),
    }


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Score:
    """Return mean cross-entropy and accuracy of probabilities (n, classes) for labels (n,)."""
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    hits = probabilities.argmax(axis=1) == labels
    return Score(float(-np.log(np.maximum(given, _TINY)).mean()), float(hits.mean()))


def history_csv(history: Sequence[Epoch]) -> str:
    """Return the epochs as CSV, with floats in full precision and empty fields for missing scores."""
    header = ["epoch", *_columns("train"), *_columns("validation"), *_columns("inner"), "learning_rate"]
    lines = [
        [epoch.number, *_values(epoch.train), *_values(epoch.validation), *_values(epoch.inner), epoch.learning_rate]
        for epoch in history
    ]
    return _csv(header, lines)


def batches_csv(batch_losses: Sequence[Sequence[float]]) -> str:
    """Return the loss of each mini-batch as CSV; epochs and batches count from 1."""
    lines = (
        [epoch, batch, loss]
        for epoch, losses in enumerate(batch_losses, start=1)
        for batch, loss in enumerate(losses, start=1)
    )
    return _csv(["epoch", "batch", "loss"], lines)


def gradients_csv(history: Sequence[Epoch]) -> str:
    """Return the norm of the gradient of each mini-batch as CSV; epochs and batches count from 1."""
    lines = (
        [epoch.number, batch, norm] for epoch in history for batch, norm in enumerate(epoch.gradient_norms, start=1)
    )
    return _csv(["epoch", "batch", "norm"], lines)


def lags_csv(history: Sequence[Epoch]) -> str:
    """Return the lag of each layer at the end of each epoch as CSV; see ``Lag``."""
    lines = ([epoch.number, lag.layer, lag.mean, lag.deviation] for epoch in history for lag in epoch.lags)
    return _csv(["epoch", "layer", "mean", "deviation"], lines)


def modes_csv(history: Sequence[Epoch]) -> str:
    """Return the validation accuracy by batch-norm statistics after each epoch as CSV; see ``Modes``."""
    lines = (
        [epoch.number, one.samples, one.as_trained, one.batch_statistics, one.recalibrated]
        for epoch in history
        if (one := epoch.modes)
    )
    return _csv(["epoch", "samples", "as_trained", "batch_statistics", "recalibrated"], lines)


def _columns(part: str) -> list[str]:
    return [f"{part}_loss", f"{part}_accuracy"]


def _values(measured: Score | None) -> list[float | str]:
    return ["", ""] if measured is None else [measured.loss, measured.accuracy]


def _csv(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue()

"""Summarise the learning curves of a run, mean and spread over the folds, and the training dynamics of each fold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.predictions.folds import FoldRun

LOW_LOSS = 0.1
"""The threshold of ``epochs_to_low_loss``, in nats, from the study of Mechanical MNIST."""


def learning(evaluation: Evaluation) -> Files:
    """Return the learning curves, and the dynamics of each network."""
    return {
        "learning_curves.csv": table(learning_curves([fold_run.history for fold_run in evaluation.fold_runs])),
        "training_dynamics.csv": table(pd.DataFrame([dynamics_of(fold_run) for fold_run in evaluation.fold_runs])),
    }


def learning_curves(histories: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return mean and standard deviation over folds, for each epoch and split.

    Columns: ``epoch, split, folds, loss_mean, loss_sd, accuracy_mean, accuracy_sd``. ``folds`` decreases with early
    stopping; a deviation of one fold is 0. ``train`` is the running mean of the epoch, in training mode.
    """
    every = pd.concat(histories, keys=range(len(histories)), names=["fold"])
    parts = []
    for split in ("train", "validation"):
        columns = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
        grouped = every[["epoch", *columns]].rename(columns=columns).groupby("epoch")
        part = grouped.agg(["mean", "std"]).fillna(0.0)
        part.columns = ["loss_mean", "loss_sd", "accuracy_mean", "accuracy_sd"]
        part.insert(0, "folds", grouped.size())
        part.insert(0, "split", split)
        parts.append(part.reset_index())
    return pd.concat(parts, ignore_index=True)


def dynamics_of(fold_run: FoldRun) -> dict[str, Any]:
    """Return a row of ``training_dynamics.csv``.

    Losses are cross-entropies in nats. ``..._train_loss`` and ``train_accuracy_while_training`` are means over
    the mini-batches of an epoch, in training mode (with dropout, batch statistics and augmentation) and while the
    weights change. ``train_accuracy_when_evaluated`` is that of the best weights on the same samples, in evaluation
    mode and without augmentation.

    Columns: ``fold, epochs`` done; ``best_epoch``; ``epochs_to_low_loss``, the first with a training loss below
    ``LOW_LOSS`` (NaN if none is); ``first_train_loss``; ``last_train_loss`` and ``last_validation_loss`` of the last
    epoch; ``last_batch_loss_sd``, the standard deviation of the loss over the mini-batches of the last epoch;
    ``train_accuracy_while_training`` of the best epoch; ``train_accuracy_when_evaluated``; ``validation_accuracy``
    of the best weights.
    """
    history, batches, metrics = fold_run.history, fold_run.batches, fold_run.record["metrics"]
    low = history.loc[history["train_loss"] < LOW_LOSS, "epoch"]
    best = history.loc[history["epoch"] == fold_run.record["best_epoch"]].iloc[0]
    last = batches.loc[batches["epoch"] == history["epoch"].max(), "loss"]
    return {
        "fold": fold_run.fold,
        "epochs": len(history),
        "best_epoch": fold_run.record["best_epoch"],
        "epochs_to_low_loss": float(low.min()) if len(low) else np.nan,
        "first_train_loss": history["train_loss"].iloc[0],
        "last_train_loss": history["train_loss"].iloc[-1],
        "last_validation_loss": history["validation_loss"].iloc[-1],
        "last_batch_loss_sd": last.std(),
        "train_accuracy_while_training": best["train_accuracy"],
        "train_accuracy_when_evaluated": metrics["train_accuracy"],
        "validation_accuracy": metrics["validation_accuracy"],
    }

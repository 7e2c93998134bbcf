"""Summarise the learning curves of a run: loss and accuracy of each epoch, mean and spread over the folds."""

from collections.abc import Sequence

import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.learning.dynamics import dynamics_of
from shearbench.plotting.files import Files, table


def learning(evaluation: Evaluation) -> Files:
    """Return the learning curves, and the dynamics of each network."""
    return {
        "learning_curves.csv": table(curves_of(evaluation)),
        "training_dynamics.csv": table(pd.DataFrame([dynamics_of(fold_run) for fold_run in evaluation.fold_runs])),
    }


def curves_of(evaluation: Evaluation) -> pd.DataFrame:
    """Return the table of :func:`learning_curves` for the folds of a run."""
    return learning_curves([fold_run.history for fold_run in evaluation.fold_runs])


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

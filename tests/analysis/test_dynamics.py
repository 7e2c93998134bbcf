"""Training dynamics against histories written by hand, and their summary over the networks of a run."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.analysis.learning.compare import summary
from shearbench.analysis.learning.summarise import dynamics_of
from shearbench.predictions.folds import FoldRun


def fold_run(folder: Path, fold: int, losses: list[float], *, kept: int) -> FoldRun:
    """Write a fold whose epochs have these training losses, accuracies 0.5, 0.6, ... and two mini-batches each."""
    folder.mkdir()
    accuracies = [0.5 + 0.1 * epoch for epoch in range(len(losses))]
    history = pd.DataFrame(
        {
            "epoch": range(1, len(losses) + 1),
            "train_loss": losses,
            "train_accuracy": accuracies,
            "validation_loss": [2 * loss for loss in losses],
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    lines = [(epoch, batch, batch * loss) for epoch, loss in enumerate(losses, 1) for batch in (1, 2)]
    pd.DataFrame(lines, columns=["epoch", "batch", "loss"]).to_csv(folder / "batches.csv", index=False)
    metrics = {"train_accuracy": 0.9, "validation_accuracy": 0.8}
    return FoldRun(folder, {"fold": fold, "best_epoch": kept, "metrics": metrics}, "")


def test_dynamics_of_a_network(tmp_path: Path) -> None:
    row = dynamics_of(fold_run(tmp_path / "a", 3, [1.0, 0.1, 0.09, 0.2], kept=2))
    assert row == {
        "fold": 3,
        "epochs": 4,
        "best_epoch": 2,
        "epochs_to_low_loss": 3,  # 0.1 is not below 0.1
        "first_train_loss": 1.0,
        "last_train_loss": 0.2,
        "last_validation_loss": 0.4,
        "last_batch_loss_sd": pytest.approx(0.2 / np.sqrt(2)),  # of 0.2 and 0.4
        "train_accuracy_while_training": 0.6,
        "train_accuracy_when_evaluated": 0.9,
        "validation_accuracy": 0.8,
    }


def test_summary_of_a_run_counts_those_that_never_reached_a_low_loss(tmp_path: Path) -> None:
    fast, slow = fold_run(tmp_path / "a", 0, [0.05], kept=1), fold_run(tmp_path / "b", 1, [0.5, 0.3], kept=2)
    networks = pd.DataFrame([dynamics_of(each) for each in (fast, slow)]).assign(dataset="mnist", model="mlp")
    (row,) = summary(networks[["dataset", "model", *networks.columns[:-2]]]).to_dict("records")
    assert (row["networks"], row["reached_low_loss"], row["epochs_to_low_loss_mean"]) == (2, 1, 1)
    assert (row["epochs_mean"], row["epochs_sd"]) == (1.5, pytest.approx(np.sqrt(0.5)))
    assert row["last_train_loss_mean"] == pytest.approx(0.175)
    assert row["mode_gap_mean"] == pytest.approx(((0.9 - 0.5) + (0.9 - 0.6)) / 2)
    assert row["mode_gap_sd"] == pytest.approx(0.1 / np.sqrt(2))

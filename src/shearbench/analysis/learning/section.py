"""Learning curves, a table of their dynamics, and accuracy during training against evaluation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.pictures import missing, of_networks, without_layers

_TEXT = """Lines are means over the folds, bands one standard deviation. Train is the running mean of the epoch in
training mode (with dropout and augmentation, before the last step of the epoch). Validation is measured after the
epoch, on the held-out fold. With early stopping, later epochs are means over fewer folds."""
_MODES = """The accuracy on the training samples during training and the accuracy of the best weights on the same
samples differ. Dropout, augmentation and the weights at the start of the epoch make the first lower. Batch
normalisation uses the statistics of the batch during training and running averages afterwards. If the averages lag,
the second is lower than the first."""
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("epochs", True, "done, mean over the folds"),
    Column(
        "epochs to 0.1",
        True,
        "first epoch with a training loss below 0.1; in brackets the number of networks that reach it",
    ),
    Column("first loss", True, "training loss of the first epoch"),
    Column("last loss", True, "training loss of the last epoch"),
    Column("held-out loss", True, "after the last epoch, on the held-out fold"),
    Column("batch spread", True, "standard deviation of the training loss over the mini-batches of the last epoch"),
)
_MODE_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("while training", True, "accuracy on the training samples during the best epoch, in %"),
    Column("when evaluated", True, "accuracy of the best weights on the same samples, in %"),
    Column("gap", True, "evaluation minus training, percentage points"),
    Column("held out", True, "accuracy of the best weights on the held-out fold, in %"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("curves", "Learning curves", [Prose(_TEXT)], [comparison.MISSING, *missing(root, rows)])
    side_by_side = _side_by_side(root) if of_networks(root, rows) else []
    blocks = [Prose(_TEXT), *without_layers(root, rows), *side_by_side]
    return Section("curves", "Learning curves", blocks, missing(root, rows))


def _side_by_side(root: Path) -> list[Block]:
    rows = comparison.rows_of(root, "training_dynamics")
    words = "Learning curves of every network, datasets side by side"
    curves = comparison.picture(root, "learning_curves", words, data=["learning_curves"])
    modes = comparison.picture(root, "accuracy_by_mode", "Accuracy of every run while training and when evaluated")
    caption = "Losses are cross-entropies in nats; mean ± standard deviation over the networks."
    data = comparison.data(root, "training_dynamics")
    return [
        Pictures([curves], wide=True),
        Table(_COLUMNS, [_row(row) for row in rows], caption, data),
        Heading("Training and evaluation"),
        Prose(f"{_MODES} {_widest(rows)}"),
        Pictures([modes], wide=True),
        Table(_MODE_COLUMNS, [_mode_row(row) for row in rows], "In %; mean ± standard deviation over the networks."),
    ]


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    return [
        row["dataset"],
        row["model"],
        _spread(row, "epochs", ".1f"),
        _reached(row),
        *(_spread(row, name, ".3f") for name in ("first_train_loss", "last_train_loss", "last_validation_loss")),
        _spread(row, "last_batch_loss_sd", ".3f"),
    ]


def _mode_row(row: Mapping[str, Any]) -> list[Cell | str]:
    return [
        row["dataset"],
        row["model"],
        *(_spread(row, f"train_accuracy_{mode}", ".1f", 100) for mode in ("while_training", "when_evaluated")),
        _spread(row, "mode_gap", "+.1f", 100),
        _spread(row, "validation_accuracy", ".1f", 100),
    ]


def _spread(row: Mapping[str, Any], name: str, form: str, factor: float = 1.0) -> Cell:
    mean, sd = factor * row[f"{name}_mean"], factor * row[f"{name}_sd"]
    return Cell(f"{mean:{form}} ± {sd:{form.lstrip('+')}}", mean)


def _reached(row: Mapping[str, Any]) -> Cell:
    mean, reached, networks = row["epochs_to_low_loss_mean"], row["reached_low_loss"], row["networks"]
    if math.isnan(mean):
        return Cell(f"never (0 of {networks})", math.inf)
    return Cell(f"{mean:.1f} ({reached} of {networks})", mean)


def _widest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the run with the largest drop from training mode to evaluation mode."""
    row = min(rows, key=lambda each: float(each["mode_gap_mean"]))
    if row["mode_gap_mean"] >= 0:
        return "Here, no run has a lower mean in evaluation than in training."
    return (
        f"Here, {row['model']} on {row['dataset']} loses most: {100 * row['train_accuracy_while_training_mean']:.1f} % "
        f"while training, {100 * row['train_accuracy_when_evaluated_mean']:.1f} % when evaluated (means over "
        f"{row['networks']} networks)."
    )

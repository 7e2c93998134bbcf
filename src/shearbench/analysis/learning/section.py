"""The report's section on learning curves."""

import math
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Prose

_CURVES = """Lines are means over the folds, bands one standard deviation. Train is the running mean of the epoch in
training mode (with dropout and augmentation, before the last step of the epoch). Validation is measured after the
epoch, on the held-out fold. With early stopping, later epochs are means over fewer folds."""
_MODES = """The accuracy on the training samples during training and the accuracy of the best weights on the same
samples differ. Dropout, augmentation and the weights at the start of the epoch make the first lower. Batch
normalisation uses the statistics of the batch during training and running averages afterwards. If the averages lag,
the second is lower than the first."""


@page.section("curves", "Learning curves")
def curves(root: Path, rows: page.Rows) -> list[Block]:
    """Return learning curves with their table, and the accuracies by mode."""
    text = [Prose(_CURVES), *page.without_layers(root, rows)]
    return [*text, *_dynamics(root)] if page.of_networks(root, rows) else text


def _dynamics(root: Path) -> list[Block]:
    rows = page.rows_of(root, "training_dynamics")
    caption = "Losses are cross-entropies in nats; mean ± standard deviation over the networks."
    return [
        page.wide(
            root, "learning_curves", "Learning curves of every network, datasets side by side", ["learning_curves"]
        ),
        page.table(_DYNAMICS, rows, caption, page.data(root, "training_dynamics")),
        Heading("Training and evaluation"),
        Prose(f"{_MODES} {_widest(rows)}"),
        page.wide(root, "accuracy_by_mode", "Accuracy of every run while training and when evaluated"),
        page.table(_BY_MODE, rows, "In %; mean ± standard deviation over the networks."),
    ]


def _reached(row: page.Row) -> Cell:
    mean, reached, networks = row["epochs_to_low_loss_mean"], row["reached_low_loss"], row["networks"]
    if math.isnan(mean):
        return Cell(f"never (0 of {networks})", math.inf)
    return Cell(f"{mean:.1f} ({reached} of {networks})", mean)


def _widest(rows: page.Rows) -> str:
    """Return a sentence on the run with the largest drop from training mode to evaluation mode."""
    row = min(rows, key=lambda each: float(each["mode_gap_mean"]))
    if row["mode_gap_mean"] >= 0:
        return "Here, no run has a lower mean in evaluation than in training."
    return (
        f"Here, {row['model']} on {row['dataset']} loses most: {100 * row['train_accuracy_while_training_mean']:.1f} % "
        f"while training, {100 * row['train_accuracy_when_evaluated_mean']:.1f} % when evaluated (means over "
        f"{row['networks']} networks)."
    )


_DYNAMICS = page.RUN | {
    Column("epochs", True, "done, mean over the folds"): page.spread("epochs", ".1f"),
    Column(
        "epochs to 0.1",
        True,
        "first epoch with a training loss below 0.1; in brackets the number of networks that reach it",
    ): _reached,
    Column("first loss", True, "training loss of the first epoch"): page.spread("first_train_loss", ".3f"),
    Column("last loss", True, "training loss of the last epoch"): page.spread("last_train_loss", ".3f"),
    Column("held-out loss", True, "after the last epoch, on the held-out fold"): (
        page.spread("last_validation_loss", ".3f")
    ),
    Column(
        "batch spread",
        True,
        "standard deviation of the training loss over the mini-batches of the last epoch; empty if it has one batch",
    ): page.spread("last_batch_loss_sd", ".3f"),
}
_BY_MODE = page.RUN | {
    Column("while training", True, "accuracy on the training samples during the best epoch, in %"): (
        page.spread("train_accuracy_while_training", ".1f", 100)
    ),
    Column("when evaluated", True, "accuracy of the best weights on the same samples, in %"): (
        page.spread("train_accuracy_when_evaluated", ".1f", 100)
    ),
    Column("gap", True, "evaluation minus training, percentage points"): page.spread("mode_gap", "+.1f", 100),
    Column("held out", True, "accuracy of the best weights on the held-out fold, in %"): (
        page.spread("validation_accuracy", ".1f", 100)
    ),
}

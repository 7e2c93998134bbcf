"""Accuracy of every model on other steps of its load and on other datasets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table

_TITLE = "Transfer to other loads and datasets"
_SEVERITY = """Models of fields are trained at one displacement. Here they predict the same test samples at every
published step of their load: as measured, and divided by the load, that is multiplied by (own displacement /
displacement of the step). A user who knows the load can do the latter; it is exact for a linear material."""


_TRANSFER = """Each model predicts the test samples of the other datasets, with its own normalisation and with one of
the same kind refitted to the training samples of the other dataset. A one-channel image is doubled for a model of two
channels."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("transfer", _TITLE, [], (comparison.MISSING,))
    return Section("transfer", _TITLE, [*_severity(root), *_transfer(root)])


def _severity(root: Path) -> list[Block]:
    rows = comparison.rows_of(root, "severity")
    if not rows:
        return []
    words = "Accuracy of models of fields at every step of their load"
    shown = comparison.picture(root, "severity", words, data=["severity"])
    return [Heading("Other loads"), Prose(_SEVERITY), Pictures([shown], wide=True)]


_COLUMNS = (
    Column("dataset", help="training dataset of the networks"),
    Column("model"),
    Column("reads"),
    Column("normalisation"),
    Column("accuracy", True, "mean over the networks, in %; 95 % Wilson interval for the samples"),
    Column("samples", True),
)


def _transfer(root: Path) -> list[Block]:
    rows = comparison.rows_of(root, "transfer")
    if not rows:
        return []
    lines = [_transfer_row(row) for row in rows if not isinstance(row["skipped"], str)]
    left_out = dict.fromkeys(
        f"{row['reads']} by a model of {row['dataset']}: {row['skipped']}"
        for row in rows
        if isinstance(row["skipped"], str)
    )
    note = [Prose(f"Not possible: {'; '.join(left_out)}.")] if left_out else []
    table = [Table(_COLUMNS, lines, data=comparison.data(root, "transfer"))] if lines else []
    return [Heading("Other datasets"), Prose(_TRANSFER), *note, *table]


def _transfer_row(row: Mapping[str, Any]) -> list[Cell | str]:
    names = [row["dataset"], row["model"], row["reads"], row["normalisation"]]
    low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
    accuracy = Cell(f"{100 * row['accuracy_mean']:.1f} ({low:.1f} to {high:.1f})", row["accuracy_mean"])
    return [*names, accuracy, Cell(f"{row['n']:.0f}", row["n"])]

"""Scores of each class: errors side by side, the share that falls on 3, 5 and 8, precision, recall, F1 and loss."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.predictions.evaluated import read_table
from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.findings import percent
from shearbench.report.pictures import evaluations, missing

_TEXT = """A study of these data found that errors gather on 3, 5 and 8. Top: cross-validated error of each class.
Bottom: share of all errors on digits of these three classes. If all classes were equally hard, this share would equal
their share of the digits (dotted). If the interval contains the dotted line, the errors show no such preference."""
_EACH = """Point at a cell for its 95 % interval for the choice of the samples, and for precision, recall and loss.
Each run's `per_class.csv` has all of them with their intervals: Wilson's for precision and recall, one that follows
from it for F1, a bootstrap over samples (BCa) for the loss."""
_TITLE = "Accuracy by class"
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("errors", True, "out of fold, mean over the repeats"),
    Column("of 3, 5 and 8", True, "errors on digits of these classes"),
    Column("share", True, "of the errors, in %; 95 % Wilson interval"),
    Column("share of the digits", True, "in %"),
    Column("more than their share"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("classes", _TITLE, [], [comparison.MISSING, *missing(root, rows)])
    blocks = [*_side_by_side(root), Heading("F1 of each class"), Prose(_EACH), _f1(root, rows)]
    return Section("classes", _TITLE, blocks, missing(root, rows))


def _f1(root: Path, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return F1 by run and class, with the other scores of the class in the help of each cell."""
    found: dict[tuple[str, str], dict[str, Cell]] = {}
    for folder, record in evaluations(root, rows):
        of_run = read_table(folder / "per_class.csv").query("split == 'test'").to_dict("records")
        found[record["dataset"], record["model"]] = {row["class"]: _score(row) for row in of_run}
    classes = list(dict.fromkeys(name for cells in found.values() for name in cells))
    columns = [Column("dataset"), Column("model"), *(Column(name, True) for name in classes)]
    body = [[*run, *(cells.get(name, "") for name in classes)] for run, cells in found.items()]
    return Table(columns, body, "F1 in % on the test set, mean over the models of the folds.")


def _score(row: Mapping[Any, Any]) -> Cell:
    """Return the cell of a class: F1 in %, with its interval and the other scores as help."""
    text = f"95 % CI {percent(row['f1_low'])} to {percent(row['f1_high'])}, precision {percent(row['precision'])} %, "
    text += f"recall {percent(row['recall'])} %, loss {row['loss']:.3f} nats"
    return Cell(percent(row["f1"]), row["f1"], help=text)


def _side_by_side(root: Path) -> list[Block]:
    rows = [row for row in comparison.rows_of(root, "errors_by_class") if row["classes"] == "3 5 8"]
    picture = comparison.picture(root, "classes", "Errors by class, and the share that falls on 3, 5 and 8")
    data = comparison.data(root, "errors_by_class")
    return [Prose(_TEXT), Pictures([picture], wide=True), Table(_COLUMNS, [_row(row) for row in rows], data=data)]


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    names = [row["dataset"], row["model"], Cell(f"{row['all_errors']:g}", row["all_errors"])]
    expected = Cell(f"{100 * row['share_of_samples']:.0f}", row["share_of_samples"])
    if math.isnan(row["share"]):
        return [*names, "0", "no error", expected, "no error"]
    share = f"{100 * row['share']:.1f} ({100 * row['share_low']:.1f} to {100 * row['share_high']:.1f})"
    return [*names, Cell(f"{row['errors']:g}", row["errors"]), Cell(share, row["share"]), expected, _verdict(row)]


def _verdict(row: Mapping[str, Any]) -> str:
    if row["share_low"] > row["share_of_samples"]:
        return "yes"
    return "no, less" if row["share_high"] < row["share_of_samples"] else "not shown"

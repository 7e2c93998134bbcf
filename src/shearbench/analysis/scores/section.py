"""Scores of each class: errors side by side, the share that falls on 3, 5 and 8, precision, recall, F1 and loss."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.pictures import section_of_figure

_TEXT = """A study of these data found that errors gather on 3, 5 and 8. Top: out-of-fold error of each class. Bottom:
share of all errors on digits of these three classes. If all classes were equally hard, this share would equal their
share of the digits (dotted). If the interval contains the dotted line, the errors show no such preference."""
_EACH = """Dots are means over the folds, bars 95 % intervals for the choice of the digits: Wilson's for precision and
recall, an interval derived from it for F1, and a bootstrap over digits (BCa) for the loss."""
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
    there = comparison.is_there(root)
    blocks = [*(_side_by_side(root) if there else ()), Heading("Every score"), Prose(_EACH)]
    made = section_of_figure(
        root, rows, Section("classes", "Accuracy by class", blocks), "per_class", data=["per_class.csv"]
    )
    return Section(made.id, made.title, made.blocks, [*([] if there else [comparison.MISSING]), *made.missing])


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

"""Confusion: datasets side by side, the most confused pairs, every confusion matrix."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.findings import p_value
from shearbench.report.pictures import section_of_figure

_TEXT = """Out of fold, each training sample is predicted once per repeat, by the network that did not train on it. The
samples are the same on every dataset, so a changed count comes from the input and not from the samples."""
_PAIRS = """A row has the number of samples of one class that are predicted as another, on the reference dataset and on
this one. The p value is McNemar's, for the same samples on both datasets, adjusted for all confused pairs of the run
(Holm). Most changes of a few samples are within chance."""
_MATRICES = """Cross-validated and on the test set; the network of every fold predicts each test sample. Colours are
shares of the true class. Numbers are these shares in % on the diagonal and counts of samples beside it."""
_SHOWN = 8
_COLUMNS = (
    Column("model"),
    Column("dataset"),
    Column("read", help="true class as predicted class"),
    Column("samples", True, "on the reference dataset to on this one, out of fold"),
    Column("share of the class", True, "on this dataset in %, 95 % Wilson interval"),
    Column("change", True, "in samples"),
    Column("p (Holm)", True, "McNemar, adjusted for all confused pairs of the run"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    there = comparison.is_there(root)
    blocks = [Prose(_TEXT), *(_side_by_side(root, rows) if there else ()), Heading("Every matrix"), Prose(_MATRICES)]
    data = ["confusion_out_of_fold.csv", "confusion_test.csv"]
    made = section_of_figure(root, rows, Section("confusion", "Confusion", blocks), "confusion", data)
    return Section(made.id, made.title, made.blocks, [*([] if there else [comparison.MISSING]), *made.missing])


def _side_by_side(root: Path, compared_rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    figures = {path.name for path in (root / "build" / "comparison" / "figures").glob("confusion_*.png")}
    runs = Counter(row["model"] for row in compared_rows if f"confusion_{row['model']}.png" in figures)
    rows = comparison.rows_of(root, "confused_pairs")
    words = "Errors of {} on each dataset, and their change"
    pictures = {model: comparison.picture(root, f"confusion_{model}", words.format(model)) for model in runs}
    wide = [picture for model, picture in pictures.items() if runs[model] > 1]
    narrow = [picture for model, picture in pictures.items() if runs[model] == 1]
    data = comparison.data(root, "confused_pairs")
    compared = [row for row in rows if row["change"] == row["change"]]
    shown = [row for run in _runs(compared) for row in run[:_SHOWN]]
    caption = f"The {_SHOWN} most confused pairs of each run; all of them are in the file."
    table = [Table(_COLUMNS, [_row(row) for row in shown], caption, data)] if shown else []
    return [Pictures(wide, wide=True), Pictures(narrow), Heading("Most confused pairs"), Prose(_PAIRS), *table]


def _runs(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Return rows grouped by run, in their order within the run."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["model"], row["dataset"]), []).append(row)
    return list(groups.values())


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    low, high = 100 * row["rate_low"], 100 * row["rate_high"]
    return [
        row["model"],
        row["dataset"],
        f"{row['true']} as {row['predicted']}",
        Cell(f"{row['reference_count']:g} to {row['count']:g}", row["count"]),
        Cell(f"{100 * row['rate']:.1f} ({low:.1f} to {high:.1f})", row["rate"]),
        Cell(f"{row['change']:+g}".replace("-", "\N{MINUS SIGN}"), row["change"]),
        Cell(p_value(row["p_holm"]), row["p_holm"], strong=row["p_holm"] < 0.05),
    ]

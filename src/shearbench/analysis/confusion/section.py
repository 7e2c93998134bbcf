"""Confusion: datasets side by side, the most confused pairs, every confusion matrix."""

import math
from collections import Counter
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose
from shearbench.report.comparison import Columns, Rows, data, interval, picture, rows_of, section, table
from shearbench.report.findings import p_value
from shearbench.report.pictures import figure_of_each

_TEXT = """Out of fold, each training sample is predicted once per repeat, by the network that did not train on
it."""
_SAME = (
    """The samples are the same on every dataset, so a changed count comes from the input and not from the samples."""
)
_PAIRS = """A row has the number of samples of one class that are predicted as another, on the reference dataset and on
this one. The p value is McNemar's, for the same samples on both datasets, adjusted for all confused pairs of the run
(Holm). Most changes of a few samples are within chance."""
_MATRICES = """Cross-validated and on the test set; the network of every fold predicts each test sample. Colours are
shares of the true class. Numbers are these shares in % on the diagonal and counts of samples beside it."""
_SHOWN = 8
_COLUMNS: Columns = {
    Column("model"): itemgetter("model"),
    Column("dataset"): itemgetter("dataset"),
    Column("confusion", help="true class as predicted class"): lambda row: f"{row['true']} as {row['predicted']}",
    Column("samples", True, "on the reference dataset to on this one, out of fold"): (
        lambda row: Cell(f"{row['reference_count']:g} to {row['count']:g}", row["count"])
    ),
    Column("share of the class", True, "on this dataset in %, 95 % Wilson interval"): interval("rate"),
    Column("change", True, "in samples"): (
        lambda row: Cell(f"{row['change']:+g}".replace("-", "\N{MINUS SIGN}"), row["change"])
    ),
    Column("p (Holm)", True, "McNemar, adjusted for all confused pairs of the run"): (
        lambda row: Cell(p_value(row["p_holm"]), row["p_holm"], strong=row["p_holm"] < 0.05)
    ),
}


@section("confusion", "Confusion")
def read(root: Path, rows: Rows) -> list[Block]:
    """Return the datasets side by side, the most confused pairs and every matrix."""
    files = ["confusion_out_of_fold.csv", "confusion_test.csv"]
    matrices = figure_of_each(root, rows, "confusion", "Confusion", files)
    same = [Prose(_SAME)] if any(not math.isnan(row["change"]) for row in rows_of(root, "confused_pairs")) else []
    return [Prose(_TEXT), *same, *_side_by_side(root, rows), Heading("Every matrix"), Prose(_MATRICES), *matrices]


def _side_by_side(root: Path, rows: Rows) -> list[Block]:
    figures = {path.stem for path in (root / "build" / "comparison" / "figures").glob("confusion_*.png")}
    runs = Counter(row["model"] for row in rows if f"confusion_{row['model']}" in figures)
    words = "Errors of {} on each dataset, and their change"
    pictures = {model: picture(root, f"confusion_{model}", words.format(model)) for model in runs}
    wide, narrow = ([one for model, one in pictures.items() if (runs[model] > 1) == many] for many in (True, False))
    compared = [row for row in rows_of(root, "confused_pairs") if not math.isnan(row["change"])]
    shown = [row for _, run in groupby(compared, itemgetter("model", "dataset")) for row in islice(run, _SHOWN)]
    caption = f"The {_SHOWN} most confused pairs of each run; all of them are in the file."
    pictures_of_runs: list[Block] = [Pictures(wide, wide=True), Pictures(narrow)]
    if not shown:
        return pictures_of_runs
    pairs = table(_COLUMNS, shown, caption, data(root, "confused_pairs"))
    return [*pictures_of_runs, Heading("Most confused pairs"), Prose(_PAIRS), pairs]

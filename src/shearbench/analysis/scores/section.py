"""The report's sections on confusion, accuracy by class, misclassified samples and suspicious labels."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from shearbench.predictions.evaluated import read_table
from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Table
from shearbench.report.findings import p_value, percent

_CONFUSION = """\
Out of fold, each training sample is predicted once per repeat, by the network that did not train on
it."""
_SAME = (
    """The samples are the same on every dataset, so a changed count comes from the input or from another training."""
)
_PAIRS = """A row has the number of samples of one class that are predicted as another, on the reference dataset and on
this one. The p value is McNemar's, for the same samples on both datasets, adjusted for all confused pairs of the run
(Holm). Most changes of a few samples are within chance."""
_MATRICES = """Cross-validated and on the test set; the network of every fold predicts each test sample. Colours are
shares of the true class. Numbers are these shares in % on the diagonal and counts of samples beside it."""
_PAIRS_SHOWN = 8
_CLASSES = "Cross-validated error of each class."
_TOGETHER = """A study of these data found that errors gather on 3, 5 and 8. Top: cross-validated error of each class.
Bottom: share of all errors on digits of these three classes. If all classes were equally hard, this share would equal
their share of the digits (dotted). If the interval contains the dotted line, the errors show no such preference."""
_EACH = """Point at a cell for its 95 % interval for the choice of the samples, and for precision, recall and loss.
Each run's `per_class.csv` has all of them with their intervals: Wilson's for precision and recall, one that follows
from it for F1, a bootstrap over samples (BCa) for the loss."""


@page.section("confusion", "Confusion")
def confusion(root: Path, rows: page.Rows) -> list[Block]:
    """Return the datasets side by side, the most confused pairs and every matrix."""
    files = ["confusion_out_of_fold.csv", "confusion_test.csv"]
    matrices = page.figure_of_each(root, rows, "confusion", "Confusion", files)
    same = [Prose(_SAME)] if any(not math.isnan(row["change"]) for row in page.rows_of(root, "confused_pairs")) else []
    return [Prose(_CONFUSION), *same, *_compared(root, rows), Heading("Every matrix"), Prose(_MATRICES), *matrices]


def _compared(root: Path, rows: page.Rows) -> list[Block]:
    figures = {path.stem for path in (root / "build" / "comparison" / "figures").glob("confusion_*.png")}
    runs = Counter(row["model"] for row in rows if f"confusion_{row['model']}" in figures)
    words = "Errors of {} on each dataset, and their change"
    pictures = {model: page.picture(root, f"confusion_{model}", words.format(model)) for model in runs}
    wide, narrow = ([one for model, one in pictures.items() if (runs[model] > 1) == many] for many in (True, False))
    compared = [row for row in page.rows_of(root, "confused_pairs") if not math.isnan(row["change"])]
    shown = [row for _, run in groupby(compared, itemgetter("model", "dataset")) for row in islice(run, _PAIRS_SHOWN)]
    caption = f"The {_PAIRS_SHOWN} most confused pairs of each run; all of them are in the file."
    pictures_of_runs: list[Block] = [Pictures(wide, wide=True), Pictures(narrow)]
    if not shown:
        return pictures_of_runs
    pairs = page.table(_CONFUSED, shown, caption, page.data(root, "confused_pairs"))
    return [*pictures_of_runs, Heading("Most confused pairs"), Prose(_PAIRS), pairs]


@page.section("classes", "Accuracy by class")
def classes(root: Path, rows: page.Rows) -> list[Block]:
    """Return errors by class with the share on 3, 5 and 8, and the scores of each class."""
    return [
        *_errors_by_class(root),
        Heading("F1 of each class"),
        Prose(_EACH),
        _f1(root, rows),
    ]


def _errors_by_class(root: Path) -> list[Block]:
    """Return the figure of errors by class; for digits, also the share on 3, 5 and 8."""
    shares = [row for row in page.rows_of(root, "errors_by_class") if row["classes"] == "3 5 8"]
    if not shares:
        return [Prose(_CLASSES), page.wide(root, "classes", "Errors by class", ["errors_by_class"])]
    return [
        Prose(_TOGETHER),
        page.wide(root, "classes", "Errors by class, and the share that falls on 3, 5 and 8"),
        page.table(_SHARES, shares, data=page.data(root, "errors_by_class")),
    ]


def _f1(root: Path, rows: page.Rows) -> Table:
    """Return F1 by run and class, with the other scores of the class in the help of each cell."""
    found: dict[tuple[str, str], dict[str, Cell]] = {}
    for folder, record in page.evaluations(root, rows):
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


def _verdict(row: page.Row) -> str:
    if math.isnan(row["share"]):
        return "no error"
    if row["share_low"] > row["share_of_samples"]:
        return "yes"
    return "no, less" if row["share_high"] < row["share_of_samples"] else "not shown"


_SHARES = page.RUN | {
    Column("errors", True, "out of fold, mean over the repeats"): page.number("all_errors", "g"),
    Column("of 3, 5 and 8", True, "errors on digits of these classes"): page.number("errors", "g"),
    Column("share", True, "of the errors, in %; 95 % Wilson interval"): (
        lambda row: "no error" if math.isnan(row["share"]) else page.interval("share")(row)
    ),
    Column("share of the digits", True, "in %"): page.number("share_of_samples", ".0f", 100),
    Column("more than their share"): _verdict,
}
_CONFUSED: page.Columns = {
    Column("model"): itemgetter("model"),
    Column("dataset"): itemgetter("dataset"),
    Column("confusion", help="true class as predicted class"): lambda row: f"{row['true']} as {row['predicted']}",
    Column("samples", True, "on the reference dataset to on this one, out of fold"): (
        lambda row: Cell(f"{row['reference_count']:g} to {row['count']:g}", row["count"])
    ),
    Column("share of the class", True, "on this dataset in %, 95 % Wilson interval"): page.interval("rate"),
    Column("change", True, "in samples"): (
        lambda row: Cell(f"{row['change']:+g}".replace("-", "\N{MINUS SIGN}"), row["change"])
    ),
    Column("p (Holm)", True, "McNemar, adjusted for all confused pairs of the run"): (
        lambda row: Cell(p_value(row["p_holm"]), row["p_holm"], strong=row["p_holm"] < 0.05)
    ),
}


_MISTAKES = """\
Test samples that at least one network of a run misclassifies, ordered by the mean probability of the wrong
class over all its networks, highest first. Fields are below the samples that they were computed from."""
_LABELS = """A training label is suspicious if the network that did not train on the sample gives another class at
least the mean probability that this class gets from samples with its label (confident learning, Northcutt et al.
2021). A sample that one run suspects may be an error of that network. A sample that all runs suspect is hard or
mislabelled. The benchmark changes and removes no sample."""
_SUSPECTS_SHOWN = 12
_MISCLASSIFIED = "Misclassified samples and suspicious labels"
_SUSPECTS: page.Columns = {
    Column("id", True): lambda row: Cell(str(row["id"]), row["id"]),
    Column("label"): lambda row: str(row["label"]),
    Column("suggested"): lambda row: str(row["suggested"]),
    Column("runs", True, "that suggest it"): lambda row: Cell(f"{row['runs']} of {row['of']}", row["runs"]),
    Column("confidence", True, "mean probability of the suggested class, in %"): page.percent("confidence"),
    Column("by"): lambda row: suspected_by(row["by"].split(), row["all"]),
}


@page.section("mistakes", _MISCLASSIFIED)
def mistakes(root: Path, rows: page.Rows) -> list[Block]:
    """Return the suspicious labels, and the misclassified test samples of each run."""
    suspects = page.rows_of(root, "suspicious_labels")
    runs = [f"{row['dataset']}-{row['model']}" for row in rows]
    caption = (
        f"The first {min(_SUSPECTS_SHOWN, len(suspects))} of {len(suspects)} suggestions; all of them are in the file."
    )
    first = [{**row, "all": runs} for row in suspects[:_SUSPECTS_SHOWN]]
    return [
        Heading("Suspicious labels"),
        Prose(_LABELS),
        page.wide(root, "suspicious_labels", "Training samples whose label most runs suspect"),
        page.table(_SUSPECTS, first, caption, page.data(root, "suspicious_labels")),
        Heading("Misclassified test samples"),
        Prose(_MISTAKES),
        *page.figure_of_each(
            root, rows, "misclassified", _MISCLASSIFIED, ["misclassified.csv", "suspicious_labels.csv"]
        ),
    ]


def suspected_by(suspecting: Sequence[str], runs: Sequence[str]) -> str:
    """Return the names of the runs that suspect a label, or of all others if these are fewer."""
    others = [run for run in runs if run not in suspecting]
    if len(others) >= len(suspecting):
        return " ".join(suspecting)
    return " ".join(("all", *(("but", *others) if others else ())))

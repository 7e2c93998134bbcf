"""Misclassified samples: the most confident errors on the test set, and suspicious training labels."""

from collections.abc import Sequence
from pathlib import Path

from shearbench.report.blocks import Block, Cell, Column, Heading, Prose
from shearbench.report.comparison import Columns, Rows, data, figure_of_each, percent, rows_of, section, table, wide

_TEXT = """Test samples that at least one network of a run misclassifies, ordered by the mean probability of the wrong
class over all its networks, highest first. Fields are below the samples that they were computed from."""
_LABELS = """A training label is suspicious if the network that did not train on the sample gives another class at
least the mean probability that this class gets from samples with its label (confident learning, Northcutt et al.
2021). A sample that one run suspects may be an error of that network. A sample that all runs suspect is hard or
mislabelled. The benchmark changes and removes no sample."""
_SHOWN = 12
_TITLE = "Misclassified samples and suspicious labels"
_COLUMNS: Columns = {
    Column("id", True): lambda row: Cell(str(row["id"]), row["id"]),
    Column("label"): lambda row: str(row["label"]),
    Column("suggested"): lambda row: str(row["suggested"]),
    Column("runs", True, "that suggest it"): lambda row: Cell(f"{row['runs']} of {row['of']}", row["runs"]),
    Column("confidence", True, "mean probability of the suggested class, in %"): percent("confidence"),
    Column("by"): lambda row: suspected_by(row["by"].split(), row["all"]),
}


@section("mistakes", _TITLE)
def read(root: Path, rows: Rows) -> list[Block]:
    """Return the suspicious labels, and the misclassified test samples of each run."""
    suspects = rows_of(root, "suspicious_labels")
    runs = [f"{row['dataset']}-{row['model']}" for row in rows]
    caption = f"The first {min(_SHOWN, len(suspects))} of {len(suspects)} suggestions; all of them are in the file."
    first = [{**row, "all": runs} for row in suspects[:_SHOWN]]
    return [
        Heading("Suspicious labels"),
        Prose(_LABELS),
        wide(root, "suspicious_labels", "Training samples whose label most runs suspect"),
        table(_COLUMNS, first, caption, data(root, "suspicious_labels")),
        Heading("Misclassified test samples"),
        Prose(_TEXT),
        *figure_of_each(root, rows, "misclassified", _TITLE, ["misclassified.csv", "suspicious_labels.csv"]),
    ]


def suspected_by(suspecting: Sequence[str], runs: Sequence[str]) -> str:
    """Return the names of the runs that suspect a label, or of all others if these are fewer."""
    others = [run for run in runs if run not in suspecting]
    if len(others) >= len(suspecting):
        return " ".join(suspecting)
    return " ".join(("all", *(("but", *others) if others else ())))

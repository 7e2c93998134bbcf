"""Misclassified samples: the most confident errors on the test set, and suspicious training labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.pictures import section_of_figure

_TEXT = """Test samples that at least one network of a run misclassifies, ordered by the mean probability of the wrong
class over all its networks, highest first. Fields are below the samples that they were computed from."""
_LABELS = """A training label is suspicious if the network that did not train on the sample gives another class at
least the mean probability that this class gets from samples with its label (confident learning, Northcutt et al.
2021). A sample that one run suspects may be an error of that network. A sample that all runs suspect is hard or
mislabelled. The benchmark changes and removes no sample."""
_SHOWN = 12
_COLUMNS = (
    Column("id", True),
    Column("label"),
    Column("suggested"),
    Column("runs", True, "that suggest it"),
    Column("confidence", True, "mean probability of the suggested class, in %"),
    Column("by"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    there = comparison.is_there(root)
    blocks = [
        *(_labels(root, [f"{row['dataset']}-{row['model']}" for row in rows]) if there else ()),
        Heading("Misread test samples"),
        Prose(_TEXT),
    ]
    section = Section("mistakes", "Misclassified samples and suspicious labels", blocks)
    data = ["misclassified.csv", "suspicious_labels.csv"]
    made = section_of_figure(root, rows, section, "misclassified", data)
    return Section(made.id, made.title, made.blocks, [*([] if there else [comparison.MISSING]), *made.missing])


def _labels(root: Path, runs: Sequence[str]) -> list[Block]:
    rows = comparison.rows_of(root, "suspicious_labels")
    picture = comparison.picture(root, "suspicious_labels", "Training samples whose label most runs suspect")
    caption = f"The first {min(_SHOWN, len(rows))} of {len(rows)} suggestions; all of them are in the file."
    table = Table(
        _COLUMNS, [_row(row, runs) for row in rows[:_SHOWN]], caption, comparison.data(root, "suspicious_labels")
    )
    return [Heading("Suspicious labels"), Prose(_LABELS), Pictures([picture], wide=True), table]


def _row(row: Mapping[str, Any], runs: Sequence[str]) -> list[Cell | str]:
    return [
        Cell(str(row["id"]), row["id"]),
        str(row["label"]),
        str(row["suggested"]),
        Cell(f"{row['runs']} of {row['of']}", row["runs"]),
        Cell(f"{100 * row['confidence']:.1f}", row["confidence"]),
        said_by(row["by"].split(), runs),
    ]


def said_by(suspecting: Sequence[str], runs: Sequence[str]) -> str:
    """Return the names of the runs that suspect a label, or of all others if these are fewer."""
    others = [run for run in runs if run not in suspecting]
    if len(others) >= len(suspecting):
        return " ".join(suspecting)
    return " ".join(("all", *(("but", *others) if others else ())))

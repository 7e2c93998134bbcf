"""The report's section on transfer to other loads and datasets."""

from operator import itemgetter
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Column, Heading, Prose

_SEVERITY = """Models of fields are trained at one displacement. Here they predict the same test samples at every
published step of their load: as measured, and divided by the load, that is multiplied by (own displacement /
displacement of the step). A user who knows the load can do the latter; it is exact for a linear material."""
_TRANSFER = """Each model predicts the test samples of the other datasets, with its own normalisation and with one of
the same kind refitted to the training samples of the other dataset. A one-channel image is doubled for a model of two
channels."""
_PREDICTS: page.Columns = {
    Column("dataset", help="training dataset of the networks"): itemgetter("dataset"),
    Column("model"): itemgetter("model"),
    Column("predicts", help="dataset of the test samples"): itemgetter("reads"),
    Column("normalisation"): itemgetter("normalisation"),
    Column("accuracy", True, "mean over the networks, in %; 95 % Wilson interval for the samples"): (
        page.interval("accuracy_mean", "accuracy")
    ),
    Column("samples", True): page.count("n"),
}


@page.section("transfer", "Transfer to other loads and datasets")
def transfer(root: Path, _: page.Rows) -> list[Block]:
    """Return the figure of other loads, and the table of other datasets; each if there are results."""
    blocks: list[Block] = []
    if page.rows_of(root, "severity"):
        shown = page.wide(root, "severity", "Accuracy of models of fields at every step of their load", ["severity"])
        blocks += [Heading("Other loads"), Prose(_SEVERITY), shown]
    rows = page.rows_of(root, "transfer")
    if not rows:
        return blocks
    skipped = [row for row in rows if isinstance(row["skipped"], str)]
    possible = [row for row in rows if not isinstance(row["skipped"], str)]
    left_out = dict.fromkeys(f"{row['reads']} by a model of {row['dataset']}: {row['skipped']}" for row in skipped)
    blocks += [Heading("Other datasets"), Prose(_TRANSFER)]
    blocks += [Prose(f"Not possible: {'; '.join(left_out)}.")] if left_out else []
    return blocks + ([page.table(_PREDICTS, possible, data=page.data(root, "transfer"))] if possible else [])

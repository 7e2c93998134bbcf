"""The report's section on accuracy against cost and against the number of training samples."""

from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

from shearbench.predictions.evaluated import read_table
from shearbench.records import RECORD, read_json
from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Picture, Pictures, Prose
from shearbench.report.findings import percent as in_percent
from shearbench.report.findings import span

_COST = """Cross-validated accuracy with its 95 % interval against five costs; up and to the left is better. FLOPs are
those of one prediction, a multiplication and an addition counted as two. Latency is per image on one thread of the CPU
in float32, in batches of 1 and of 64. Costs have logarithmic scales."""
_CURVE = """Cross-validated accuracy with its 95 % interval against the number of training samples. Smaller
training sets are parts of larger ones, and the held-out samples are the same. The ablation `{name}` trains these models
on {folds} folds; its networks may be smaller than those of the comparison."""


def _accuracy(row: page.Row) -> Cell:
    return Cell(in_percent(row["mean"]), row["mean"], note=span(row["low"], row["high"]))


_SIZES: page.Columns = {
    Column("dataset"): itemgetter("dataset"),
    Column("model"): itemgetter("curve"),
    Column("training samples", True, "of each fold"): page.count("train_size"),
    Column("accuracy", True, "cross-validated, in %, with its 95 % interval"): _accuracy,
    Column("n", True, "held-out samples"): page.count("n"),
}


@page.section("cost", "Accuracy against cost and training samples")
def cost(root: Path, rows: page.Rows) -> list[Block]:
    """Return the figure of the costs, and figure and table of each ablation of the number of training samples."""
    shown = page.wide(root, "cost", "Accuracy of every model against its costs, by dataset", ["cost"])
    unknown = sorted({row["model"] for row in rows if row["flops"] is None})
    note = [Prose(f"Without {', '.join(unknown)} in FLOPs: of a scikit-learn classifier they are not counted.")]
    return [Prose(_COST), *(note if unknown else []), shown, *_curves(root)]


def _curves(root: Path) -> Iterator[Block]:
    """Yield figure and table of each ablation of the number of training samples."""
    for path in sorted((root / "build" / "ablation_results").glob("*/figures/train_size.png")):
        folder = path.parents[1]
        text = _CURVE.format(name=folder.name, folds=read_json(folder / RECORD)["folds"])
        data = [folder / "train_size.csv"]
        yield Heading("Accuracy against training samples")
        yield Prose(text)
        yield Pictures([Picture.of(path, "Accuracy against the number of training samples", data=data)], wide=True)
        rows: Any = read_table(data[0]).to_dict("records")
        yield page.table(
            _SIZES, rows, "Accuracy in %, below it its 95 % interval for other samples and another training."
        )

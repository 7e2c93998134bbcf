"""Models trained elsewhere: the accuracy of each, and its verdicts against the runs of its dataset."""

from pathlib import Path

from shearbench.records import read_json
from shearbench.report.blocks import Cell, Column, Data, Prose, Section, Table
from shearbench.report.findings import Row, Rows, percent
from shearbench.report.sections import differences

_TITLE = "Models trained elsewhere"
_TEXT = """Predictions of other programs, compared with the runs of the same dataset by the rules of the pairwise
comparison (`shearbench join FOLDER`, `docs/add-a-model.md`). Each model has a family of pairs of its own."""
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("CV", True, "accuracy on the samples that each fold holds out, mean over the folds, in %"),
    Column("test", True, "accuracy on the test samples, mean over the trained models, in %"),
    Column("description", help="of its card.yaml"),
)


def read(root: Path, rows: Rows) -> Section:
    """Return the section, which is empty without joined models."""
    paths = sorted((root / "reports" / "joined").glob("*.json"))
    if not paths:
        return Section("joined", _TITLE, [])
    found = [read_json(path) for path in paths]
    models = Table(_COLUMNS, [_row(each) for each in found], data=[Data.of(path.with_suffix(".csv")) for path in paths])
    pairs = differences.table([pair for each in found for pair in each["rows"]])
    return Section("joined", _TITLE, [Prose(_TEXT), models, pairs])


def _row(found: Row) -> list[Cell | str]:
    card, accuracies = found["card"], (found["cv_accuracy"], found["test_accuracy"])
    return [
        card["dataset"],
        Cell(card["model"], strong=True),
        *(Cell(percent(accuracy), accuracy) for accuracy in accuracies),
        card["description"],
    ]

"""The first table against the records that it is made of."""

from pathlib import Path

import pandas as pd

from shearbench.records import read_json
from shearbench.report.overview import overview
from shearbench.report.recipes import recipes


def _text(cell: object) -> str:
    return str(getattr(cell, "text", cell))


def test_a_row_a_model_with_the_numbers_of_the_records(finished_once: Path) -> None:
    rows = read_json(finished_once / "reports" / "comparison.json")
    table = overview(finished_once, rows)
    titles = [column.title for column in table.columns]
    assert [_text(row[0]) for row in table.rows] == list(dict.fromkeys(row["model"] for row in rows))
    for row in rows:
        shown = next(line for line in table.rows if _text(line[0]) == row["model"])
        folder = finished_once / "build" / "evaluation" / row["dataset"] / row["model"]
        accuracy = _text(shown[titles.index(f"{row['dataset']}: accuracy")])
        assert accuracy.startswith(f"{100 * row['cv_accuracy_mean']:.1f} ({100 * row['cv_accuracy_low']:.1f} to ")
        corrupted = pd.read_csv(folder / "corruptions.csv")
        mean = corrupted.loc[corrupted["severity"] > 0, "accuracy_mean"].mean()
        assert _text(shown[titles.index(f"{row['dataset']}: corrupted")]) == f"{100 * mean:.1f}"
        flops = read_json(folder / "record.json")["measurements"]["cost"]["flops"]
        assert row["flops"] == flops > 0


def test_the_best_is_bold_and_who_is_not_worse_is_marked(finished_once: Path) -> None:
    rows = [row for row in read_json(finished_once / "reports" / "comparison.json") if row["dataset"] == "mnist"]
    best = {**rows[0], "compared_with": None, "verdict": None}
    for verdict, marked in (("worse", False), ("undecided", True), ("equivalent", True)):
        other = {**rows[1], "compared_with": best["model"], "verdict": verdict}
        first, second = overview(finished_once, [best, other]).rows
        assert first[1].strong
        assert not second[1].strong
        assert ("≈" in second[1].text) == marked
        assert "≈" not in first[1].text


def test_recipes_say_how_many_epochs_were_run(finished_once: Path) -> None:
    rows = read_json(finished_once / "reports" / "comparison.json")
    table = recipes(finished_once, rows)
    titles = [column.title for column in table.columns]
    assert len(table.rows) == len(rows)
    for row, line in zip(rows, table.rows, strict=True):
        record = read_json(finished_once / "build" / "runs" / row["dataset"] / row["model"] / "fold-0" / "record.json")
        assert _text(line[titles.index("epochs")]).endswith(f"of {record['config']['recipe']['epochs']}")
        assert _text(line[titles.index("batch")]) == str(record["config"]["recipe"]["batch"])
        assert _text(line[titles.index("parameters")]) == f"{record['parameters']:,}"

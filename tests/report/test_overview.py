"""The first table against the records that it is made of."""

from pathlib import Path

import pandas as pd

from shearbench.analysis.cost import section as cost
from shearbench.records import read_json, write_json, write_record
from shearbench.report.blocks import Column, Pictures, Table
from shearbench.report.overview import _SMALL_RISE, _strangers, budgets, overview, recipes


def _text(cell: object) -> str:
    return str(getattr(cell, "text", cell))


def test_a_row_a_model_with_the_numbers_of_the_records(finished_once: Path) -> None:
    rows = read_json(finished_once / "reports" / "comparison.json")
    table = overview(finished_once, rows)
    titles = [(column.group, column.title) for column in table.columns]
    assert [_text(row[0]) for row in table.rows] == list(dict.fromkeys(row["model"] for row in rows))
    for row in rows:
        shown = next(line for line in table.rows if _text(line[0]) == row["model"])
        folder = finished_once / "build" / "evaluation" / row["dataset"] / row["model"]
        accuracy = shown[titles.index(("cross-validated accuracy", row["dataset"]))]
        assert accuracy.text.startswith(f"{100 * row['cv_accuracy_mean']:.1f}")
        low, high = row["cv_accuracy_low"], row["cv_accuracy_high"]
        assert accuracy.note == (f"{100 * low:.1f} to {100 * high:.1f}" if high - low < 0.5 else "too few folds")
        corrupted = pd.read_csv(folder / "corruptions.csv")
        mean = corrupted.loc[corrupted["severity"] > 0, "accuracy_mean"].mean()
        assert _text(shown[titles.index(("corrupted", row["dataset"]))]) == f"{100 * mean:.1f}"
        flops = read_json(folder / "record.json")["measurements"]["cost"]["flops"]
        assert row["flops"] == flops > 0
    assert "Drop: cross-validated accuracy lost from mnist" in table.caption


def test_strangers_digits_are_those_of_the_stage_and_not_of_a_page_for_a_teacher(tmp_path: Path) -> None:
    classes = tmp_path / "build" / "handwriting"
    write_json(classes / "anna-7f930f" / "results.json", {"summary": {"read": 3}})  # as `make handwriting DIR=anna`
    assert _strangers(tmp_path) == {}

    def study(name: str, best: float) -> None:
        models = [{"model": "mlp", "accuracy": each} for each in (best, best - 0.1)] + [{"model": "mlp", "n": 0}]
        writer = {"results.json": lambda path: write_json(path, {"models": models})}
        write_record(classes / name, {}, writer)

    study("ben-85eb32", 0.6)
    assert _strangers(tmp_path)["mlp"]["accuracy"] == 0.6
    study("class_digits", 0.8)
    assert _strangers(tmp_path)["mlp"]["accuracy"] == 0.8


def test_the_best_is_bold_and_who_is_not_worse_is_marked(finished_once: Path) -> None:
    rows = [row for row in read_json(finished_once / "reports" / "comparison.json") if row["dataset"] == "mnist"]
    best = {**rows[0], "compared_with": None, "verdict": None}
    for verdict, marked in (("worse", False), ("undecided", True), ("equivalent", True)):
        other = {**rows[1], "compared_with": best["model"], "verdict": verdict}
        table = overview(finished_once, [best, other])
        assert "Drop" not in table.caption, "one dataset has none"
        first, second = table.rows
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


def test_budgets_say_the_compute_and_who_had_not_reached_a_plateau(finished_once: Path) -> None:
    rows = [row for row in read_json(finished_once / "reports" / "comparison.json") if row["dataset"] == "mnist"]
    told, spent, rises = budgets(finished_once, rows), {}, {}
    for row in rows:
        folder = finished_once / "build" / "runs" / "mnist" / row["model"] / "fold-0"
        spent[row["model"]] = 3 * row["flops"] * 2 * read_json(folder / "record.json")["sizes"]["train"]
        folds = [pd.read_csv(each / "history.csv")["validation_accuracy"] for each in folder.parent.glob("fold-*")]
        rises[row["model"]] = sum(each.iloc[-1] - each.iloc[-2] for each in folds) / len(folds)
    for model, count in spent.items():
        assert f"{count / 1e12:.2g} TFLOPs for {model}" in told
    for model, rise in rises.items():
        assert (f"{model} on mnist" in told) == (rise > _SMALL_RISE)


def test_budgets_are_called_equal_only_if_they_are(finished_once: Path) -> None:
    rows = [row for row in read_json(finished_once / "reports" / "comparison.json") if row["dataset"] == "mnist"]
    assert budgets(finished_once, rows).startswith("Budgets are not equal: training one fold takes ")
    records = [
        read_json(finished_once / "build" / "runs" / "mnist" / row["model"] / "fold-0" / "record.json") for row in rows
    ]
    seen = [record["epochs"] * record["sizes"]["train"] for record in records]
    for factor, verdict in ((1.0, "equal within 5 %"), (1.04, "equal within 5 %"), (1.2, "not equal")):
        spent = [1e9, *[factor * 1e9] * (len(rows) - 1)]
        alike = [{**row, "flops": each / count} for row, each, count in zip(rows, spent, seen, strict=True)]
        assert budgets(finished_once, alike).startswith(f"Budgets are {verdict}: training one fold takes ")


def test_cost_is_that_of_the_records(finished_once: Path) -> None:
    table = pd.read_csv(finished_once / "build" / "comparison" / "cost.csv")
    for row in table.to_dict("records"):
        folder = finished_once / "build" / "evaluation" / row["dataset"] / row["model"]
        record, metrics = read_json(folder / "record.json"), read_json(folder / "metrics.json")
        measured = record["measurements"]["cost"]
        assert (row["flops"], row["seconds_64"]) == (measured["flops"], measured["seconds"]["64"])
        assert row["accuracy"] == metrics["out_of_fold"]["accuracy_mean"]
        assert row["parameters"] == record["parameters"]
    section = cost.cost(finished_once, read_json(finished_once / "reports" / "comparison.json"))
    assert [len(block.images) for block in section.blocks if isinstance(block, Pictures)] == [1]


def test_columns_of_a_group_stand_below_one_title() -> None:
    columns = [Column("a"), Column("b", group="both"), Column("c", group="both"), Column("d")]
    assert Table(columns, []).groups == [("", 1), ("both", 2), ("", 1)]
    assert Table(columns[:1], []).groups == []

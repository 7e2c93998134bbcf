"""The recipes of the models, beside the first table: unequal training budgets are visible next to the scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import is_finished, read_record
from shearbench.report.blocks import Cell, Column, Data, Table

_HIDDEN = {"epochs", "batch", "learning_rate", "weight_decay", "augment", "schedule", "patience"}
_CAPTION = """Training of each model, from the records of its folds. Epochs: how many were run, of the most that the
recipe allows; models with fewer epochs may not have reached their plateau, and the learning curves below show whether
they did. Batch, learning rate, schedule, weight decay and augmentation are those of the recipe in `params.yaml`."""


def recipes(root: Path, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row for each run whose folds are stored.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
    """
    body = []
    for row in rows:
        folders = sorted((root / "build" / "runs" / row["dataset"] / row["model"]).glob("fold-*"))
        records = [read_record(folder) for folder in folders if is_finished(folder)]
        if records:
            body.append(_row(row, records))
    titles = ("epochs", "batch", "learning rate", "weight decay")
    columns = [
        *(Column(title) for title in ("dataset", "model", "architecture")),
        *(Column(title, True) for title in titles),
        *(Column(title) for title in ("schedule", "augmentation", "further options")),
        Column("parameters", True),
        Column("seconds per fold", True),
    ]
    return Table(columns, body, " ".join(_CAPTION.split()), [Data.of(root / "reports" / "comparison.csv")])


def _row(row: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> list[Cell | str]:
    config = records[0]["config"]
    recipe: Mapping[str, Any] = config.get("recipe") or {}
    width = config.get("width")
    options = {**config.get("options", {}), **{key: value for key, value in recipe.items() if key not in _HIDDEN}}
    if recipe.get("patience"):
        options["patience"] = recipe["patience"]
    return [
        row["dataset"],
        row["model"],
        str(config["architecture"]) + (f", width {width:g}" if width not in (None, 1) else ""),
        _epochs([record["epochs"] for record in records], recipe) if recipe else "",
        *(f"{recipe[key]:g}" if key in recipe else "" for key in ("batch", "learning_rate", "weight_decay")),
        str(recipe.get("schedule") or "") if recipe else "",
        str(recipe.get("augment", "")),
        ", ".join(f"{key} {value}" for key, value in options.items()),
        Cell(f"{row['parameters']:,}", row["parameters"]),
        Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"]),
    ]


def _epochs(run: Sequence[int], recipe: Mapping[str, Any]) -> Cell:
    """Return how many epochs the folds ran, of how many the recipe allows."""
    span = f"{min(run)}" if min(run) == max(run) else f"{min(run)} to {max(run)}"
    return Cell(f"{span} of {recipe['epochs']}", max(run))

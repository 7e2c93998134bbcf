"""The recipes of the models, beside the first table, so that unequal training budgets are visible there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.records import is_finished, read_record
from shearbench.report.blocks import Cell, Column, Data, Table
from shearbench.report.findings import Row, Rows, listed, points
from shearbench.training.recipe import Recipe

_SHOWN = {"epochs", "batch", "learning_rate", "weight_decay", "augment", "schedule"}  # in columns of their own
_BACKWARD = 3  # operations of training over prediction: a forward pass, and a backward pass of twice the cost
_CAPTION = """Training of each model, from the records of its folds. Epochs: how many were run, of the most that the
recipe allows. TFLOPs: 10^12 floating point operations to train one fold, 3 times those of its predictions (Hoffmann et
al. 2022). Last epoch: change in validation accuracy in percentage points, mean over the folds; near 0 is a plateau.
Batch, learning rate, schedule, weight decay and augmentation are those of the recipe in `params.yaml`."""
_PLATEAU = 0.002
"""Largest rise of validation accuracy in the last epoch that counts as a plateau."""


def recipes(root: Path, rows: Rows) -> Table:
    """Return a row for each run with stored folds.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
    """
    body = [_row(row, records, _rise(root, row)) for row in rows if (records := _records(root, row))]
    columns = [
        *(Column(title) for title in ("dataset", "model", "architecture")),
        *(Column(title, True) for title in ("epochs", "batch", "learning rate", "weight decay")),
        *(Column(title) for title in ("schedule", "augmentation", "further options")),
        *(Column(title, True) for title in ("parameters", "TFLOPs", "last epoch", "s/fold")),
    ]
    return Table(columns, body, " ".join(_CAPTION.split()), [Data.of(root / "reports" / "comparison.csv")])


def budgets(root: Path, rows: Rows) -> str:
    """Return sentences on unequal compute of the models, and on models that had not reached a plateau."""
    spent: dict[str, list[float]] = {}
    for row in rows:
        if (records := _records(root, row)) and (compute := _compute(row, records)):
            spent.setdefault(row["model"], []).append(compute)
    rises = {f"{row['model']} on {row['dataset']}": rise for row in rows if (rise := _rise(root, row)) is not None}
    rising = [f"{name} ({points(rise)})" for name, rise in rises.items() if rise > _PLATEAU]
    sentences = []
    if len(spent) > 1:
        means = {model: float(np.mean(each)) for model, each in spent.items()}
        least, most = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
        costs = (f"{means[model] / 1e12:.2g} TFLOPs for {model}" for model in (least, most))
        sentences.append(f"Budgets are not equal: training one fold takes {' and '.join(costs)}.")
    gained = f"more than {100 * _PLATEAU:g} percentage points of validation accuracy in the last epoch"
    if rises and not rising:
        sentences.append(f"Every network reached its plateau: none gained {gained}.")
    if rising:
        sentences.append(f"Not at a plateau, gaining {gained}: {listed(rising)}. More epochs may change their place.")
    return " ".join(sentences)


def _records(root: Path, row: Row) -> list[dict[str, Any]]:
    folders = sorted((root / "build" / "runs" / row["dataset"] / row["model"]).glob("fold-*"))
    return [read_record(folder) for folder in folders if is_finished(folder)]


def _rise(root: Path, row: Row) -> float | None:
    """Return the rise of validation accuracy in the last epoch, mean over the folds; None without two epochs."""
    path = root / "build" / "evaluation" / row["dataset"] / row["model"] / "learning_curves.csv"
    if not path.is_file():
        return None
    curve = pd.read_csv(path).query("split == 'validation'")
    values = curve.loc[curve["folds"] == curve["folds"].max(), "accuracy_mean"].to_numpy()
    return float(values[-1] - values[-2]) if len(values) > 1 else None


def _compute(row: Row, records: Rows) -> float | None:
    """Return the operations of training one fold, mean over the folds; None if those of a prediction are unknown."""
    if row["flops"] is None:
        return None
    seen = np.mean([each["epochs"] * each["sizes"]["train"] for each in records])
    return float(_BACKWARD * row["flops"] * seen)


def _row(row: Row, records: Rows, rise: float | None) -> list[Cell | str]:
    config = records[0]["config"]
    recipe, width = config.get("recipe") or {}, config.get("width")
    further = {key: value for key, value in recipe.items() if key not in _SHOWN and value != _default(key)}
    options = {**config.get("options", {}), **further}
    compute = _compute(row, records)
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
        "" if compute is None else Cell(f"{compute / 1e12:.2g}", compute),
        "" if rise is None else Cell(points(rise), rise),
        Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"]),
    ]


def _default(key: str) -> Any:
    """Return the default of an option of recipes; the table omits options at their default."""
    return Recipe.model_fields[key].default if key in Recipe.model_fields else None


def _epochs(run: Sequence[int], recipe: Row) -> Cell:
    """Return the number of epochs that the folds ran, and the largest number that the recipe allows."""
    span = f"{min(run)}" if min(run) == max(run) else f"{min(run)} to {max(run)}"
    return Cell(f"{span} of {recipe['epochs']}", max(run))

"""The first table: a row a model, with what a user chooses by: accuracy, robustness, strangers' digits and cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import is_finished, read_json
from shearbench.report.blocks import Cell, Column, Data, Table
from shearbench.report.findings import percent, span

Row = Mapping[str, Any]
NOT_WORSE = "≈"
"""Marks an accuracy that no verdict calls worse than the best of its dataset."""
_NOISE = "own", 1.0  # the scale and level of noise.csv that the table shows
_CAPTION = """Accuracy in %, cross-validated: each sample is predicted by a model that did not train on it. In brackets
its 95 % interval, for other samples and another training. The best
of a dataset is bold; ≈ marks models that no verdict calls worse than it. Noise: Gaussian, as strong as samples differ,
not clipped. Corruptions: mean over all kinds and severities, clipped to the range of the data. Both are measured on {n}
test samples. FLOPs: of one prediction. ms/image: latency in batches of 1 and of 64, float32 on one thread of
{processor}. s/fold: training time on {hardware}."""


def overview(root: Path, rows: Sequence[Row]) -> Table:
    """Return the table of all models on all datasets.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    found = {(row["dataset"], row["model"]): row for row in rows}
    strangers = _strangers(root)
    robust = {key: _robustness(root / "build" / "evaluation" / key[0] / key[1]) for key in found}
    columns = [
        Column("model"),
        *(
            Column(f"{name}: accuracy", True, "cross-validated; 95 % interval for other samples and another training")
            for name in datasets
        ),
        *(Column(f"{name}: under noise", True) for name in datasets),
        *(Column(f"{name}: corrupted", True) for name in datasets),
        *([Column("strangers' digits", True, "accuracy on a class's digits")] if strangers else []),
        *(
            Column(f"drop to {name}", True, f"test accuracy lost from {datasets[0]}, percentage points")
            for name in datasets[1:]
        ),
        *(Column(title, True) for title in ("parameters", "FLOPs", "ms/image", "s/fold")),
    ]
    body: list[list[Cell | str]] = []
    for model in models:
        of_model = [found.get((name, model)) for name in datasets]
        first = next(row for row in of_model if row is not None)
        body.append(
            [
                model,
                *(_accuracy(row) for row in of_model),
                *(_share(robust.get((name, model), {}).get("noise")) for name in datasets),
                *(_share(robust.get((name, model), {}).get("corruption")) for name in datasets),
                *([_share(strangers.get(model))] if strangers else []),
                *(_points(row) for row in of_model[1:]),
                Cell(f"{first['parameters'] / 1e6:.2f} M", first["parameters"]),
                _flops(first["flops"]),
                _latency(first),
                Cell(f"{first['seconds_per_fold']:.1f}", first["seconds_per_fold"]),
            ]
        )
    counts = {each["n"] for each in robust.values() if "n" in each}
    caption = _CAPTION.format(
        n=" or ".join(f"{count:,}" for count in sorted(counts)) or "no",
        processor=", ".join(dict.fromkeys(each["processor"] for each in robust.values() if "processor" in each)),
        hardware=", ".join(dict.fromkeys(row["hardware"] for row in rows)),
    )
    return Table(columns, body, " ".join(caption.split()), [Data.of(root / "reports" / "comparison.csv")])


def _robustness(folder: Path) -> dict[str, Any]:
    """Return mean accuracy under noise and corruption of a run, and on how many samples; nothing if not evaluated."""
    if not is_finished(folder):
        return {}
    noise = pd.read_csv(folder / "noise.csv")
    shown = noise.loc[(noise["scale"] == _NOISE[0]) & (noise["level"] == _NOISE[1]), "accuracy_mean"]
    machine = read_json(folder / "record.json")["provenance"]["machine"]
    found = {
        "corruption": float(pd.read_csv(folder / "corruptions.csv").query("severity > 0")["accuracy_mean"].mean()),
        "n": int(noise["n"].max()),
        "processor": machine["processor"],
    }
    return found | ({"noise": float(shown.iloc[0])} if len(shown) else {})


def _strangers(root: Path) -> dict[str, float]:
    """Return model -> the best accuracy that one of its trainings reached on a class's digits, if they were read."""
    paths = sorted((root / "build" / "handwriting").glob("*/results.json"))
    found: dict[str, float] = {}
    for row in read_json(paths[0])["models"] if paths else []:
        found[row["model"]] = max(found.get(row["model"], 0.0), float(row["accuracy"]))
    return found


def _accuracy(row: Row | None) -> Cell | str:
    """Return cross-validated accuracy with its interval: bold if the best, marked if no verdict calls it worse."""
    if row is None:
        return ""
    best = row["verdict"] is None and row["compared_with"] is None
    text = f"{percent(row['cv_accuracy_mean'])} ({span(row['cv_accuracy_low'], row['cv_accuracy_high'])})"
    mark = "" if best or row["verdict"] == "worse" else f" {NOT_WORSE}"
    return Cell(text + mark, row["cv_accuracy_mean"], strong=best, help=row["verdict"] or "the best")


def _share(value: float | None) -> Cell | str:
    return "" if value is None else Cell(percent(value), value)


def _points(row: Row | None) -> Cell | str:
    drop = None if row is None else row["accuracy_drop"]
    return "" if drop is None else Cell(percent(drop), drop)


def _flops(count: float | None) -> Cell | str:
    """Return a number of operations in millions or billions; empty for a classifier whose operations are not known."""
    if count is None:
        return ""
    return Cell(f"{count / 1e9:.2f} G" if count >= 1e9 else f"{count / 1e6:.1f} M", count)


def _latency(row: Row) -> Cell:
    """Return milliseconds per image in batches of 1 and of 64."""
    single, batched = (float(row[f"seconds_per_image_{batch}"]) for batch in (1, 64))
    return Cell(f"{1000 * single:.2f}; {1000 * batched:.2f}", single)

"""The first table: one row per model, with accuracy, robustness, accuracy on strangers' digits, and cost."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import is_finished, read_json
from shearbench.report.blocks import Cell, Column, Data, Table
from shearbench.report.findings import Row, Rows, hardware_of_all, percent, span

NOT_WORSE = "≈"
"""Marks an accuracy that no verdict calls worse than the best of its dataset."""
_NOISE = "own", 1.0  # scale and level of the rows of noise.csv in the table
_CAPTION = """Cross-validated accuracy in % with its 95 % interval for other samples and another training: each sample
is predicted by the model that did not train on it. The best of a dataset is bold; ≈ marks models that no verdict calls
worse than it.{drop} Noise: Gaussian, as strong as samples differ, not clipped. Corruptions: mean over all kinds and
severities, clipped to the range of the data. Both are measured on {n} test samples.{strangers} FLOPs: of one
prediction. ms/image: latency in batches of 1 and of 64, float32 on one thread of {processor}. s/fold: training time on
{hardware}.{costs}"""
_DROP = """ Drop: cross-validated accuracy lost from {first}, in percentage points; the differences in the sentences
above count test samples too."""
_STRANGERS = """ Strangers' digits: of the model's trainings, the one with the highest accuracy on the {n} digits of a
class, so it is optimistic."""
_COSTS = " Costs are those of the model on {first}."


def overview(root: Path, rows: Rows) -> Table:
    """Return the table of all models on all datasets.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
    """
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    found = {(row["dataset"], row["model"]): row for row in rows}
    strangers = _strangers(root)
    robust = {key: _robustness(root / "build" / "evaluation" / key[0] / key[1]) for key in found}
    table: dict[Column, list[Cell | str]] = {}
    for model in dict.fromkeys(row["model"] for row in rows):
        of_model = {name: found.get((name, model)) for name in datasets}
        measured = {name: robust.get((name, model), {}) for name in datasets}
        row = next(row for row in of_model.values() if row is not None)
        cells = [(Column("model"), model), *_accuracies(of_model)]
        for kind, title in (("noise", "under noise"), ("corruption", "corrupted")):
            cells += [(Column(name, True, group=title), _share(measured[name].get(kind))) for name in datasets]
        if strangers:
            cells.append((Column("strangers' digits", True), _share(strangers.get(model, {}).get("accuracy"))))
        for column, cell in [*cells, *_costs(row)]:
            table.setdefault(column, []).append(cell)
    caption = _CAPTION.format(
        drop=_DROP.format(first=datasets[0]) if len(datasets) > 1 else "",
        n=_every(f"{each['n']:,}" for each in robust.values() if "n" in each) or "no",
        strangers=_STRANGERS.format(n=_every(f"{each['n']:,}" for each in strangers.values())) if strangers else "",
        costs=_COSTS.format(first=datasets[0]) if len(datasets) > 1 else "",
        processor=_every(each["processor"] for each in robust.values() if "processor" in each),
        hardware="; ".join(hardware_of_all(rows)),
    )
    body = list(zip(*table.values(), strict=True))
    return Table(list(table), body, " ".join(caption.split()), [Data.of(root / "reports" / "comparison.csv")])


def _robustness(folder: Path) -> dict[str, Any]:
    """Return mean accuracies under noise and corruption of a run, with their n; empty without an evaluation."""
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


def _strangers(root: Path) -> dict[str, Row]:
    """Return model -> the best of its trainings on the digits of a class; empty without such an evaluation."""
    paths = sorted((root / "build" / "handwriting").glob("*/results.json"))
    rows = sorted(read_json(paths[0])["models"], key=lambda row: float(row["accuracy"])) if paths else []
    return {row["model"]: row for row in rows}


def _accuracies(of_model: Mapping[str, Row | None]) -> Iterator[tuple[Column, Cell | str]]:
    """Yield the accuracy on each dataset, then the drop from the first to each other one."""
    group = "cross-validated accuracy"
    for name, row in of_model.items():
        yield Column(name, True, group=group), "" if row is None else accuracy(row)
    for name, row in list(of_model.items())[1:]:
        drop = None if row is None else row["accuracy_drop"]
        yield Column(f"drop to {name}", True, group=group), "" if drop is None else Cell(percent(drop), drop)


def accuracy(row: Row) -> Cell:
    """Return cross-validated accuracy with its interval: bold if best, marked if no verdict calls it worse."""
    best = row["verdict"] is None and row["compared_with"] is None
    mark = "" if best or row["verdict"] == "worse" else f" {NOT_WORSE}"
    interval = span(row["cv_accuracy_low"], row["cv_accuracy_high"])
    shown, help_text = percent(row["cv_accuracy_mean"]) + mark, row["verdict"] or "the best"
    return Cell(shown, row["cv_accuracy_mean"], strong=best, help=help_text, note=interval)


def _costs(row: Row) -> Iterator[tuple[Column, Cell | str]]:
    """Yield the costs of a model; FLOPs are empty for a classifier with an unknown number of operations."""
    yield Column("parameters", True), Cell(f"{row['parameters'] / 1e6:.2f} M", row["parameters"])
    yield Column("FLOPs", True), "" if row["flops"] is None else Cell(f"{row['flops'] / 1e6:.1f} M", row["flops"])
    for batch in (1, 64):
        seconds = float(row[f"seconds_per_image_{batch}"])
        yield (
            Column(f"{batch}", True, f"latency in batches of {batch}", "ms/image"),
            Cell(f"{1e3 * seconds:.2f}", seconds),
        )
    yield Column("s/fold", True), Cell(f"{row['seconds_per_fold']:.1f}", row["seconds_per_fold"])


def _share(value: float | None) -> Cell | str:
    return "" if value is None else Cell(percent(value), value)


def _every(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))

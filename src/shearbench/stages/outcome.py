"""Stage ``outcome <name>``: the first to show the sealed test set to the networks of an experiment.

Reads ``build/experiments/<name>/``, ``build/digits/``, ``build/fields/`` and ``build/folds.npz``; writes
``build/outcomes/<name>/``: accuracies and verdicts as CSV, pictures, and the predictions behind them. Nothing trains
again.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import print

from shearbench.data.dataset import SPLITS, load
from shearbench.data.folds import read_folds
from shearbench.evaluation.canvas import png
from shearbench.evaluation.cell import check_records, hardware_of, read_runs
from shearbench.evaluation.outcome import CellReading, accuracy_table, compare, fold_table, recorded
from shearbench.evaluation.outcome_figures import accuracy_figure, gradients_figure, lags_figure
from shearbench.evaluation.outcome_reading import ReadTask, read_fold
from shearbench.evaluation.pairs import content_by_id
from shearbench.execution import run_tasks
from shearbench.params import Params, Question
from shearbench.records import read_json, sha256_of, write_bytes, write_npz, write_record, write_text
from shearbench.stages.datasets import inputs_of
from shearbench.statistics.cells import Plan
from shearbench.statistics.design import Design

Writer = Callable[[Path], None]


def main(params: Params, root: Path, name: str) -> None:
    """Read the test set with every network of an experiment, and compare.

    Raises:
        InputError: if a fold is missing, was trained on other data, or a comparison must be refused.
        TasksFailed: if a network could not be run.
    """
    question, build = params.experiments[name], root / "build"
    with inputs_of(name, question, build, SPLITS) as inputs:
        cells = _read(params, question, inputs, runs=build / "experiments" / name, folds=build / "folds.npz")
    plan = Plan(
        Design(question.folds, alpha=params.compare.alpha, power=params.compare.power),
        dict.fromkeys(question.datasets, question.rope),
    )
    content = {**content_by_id(build / "digits", "train"), **content_by_id(build / "digits", "test")}
    pairs = compare(cells, plan, content)
    out = build / "outcomes" / name
    predictions = _write_predictions(out / "predictions", cells)
    facts = _facts(params, name, cells, of_folds=read_folds(build / "folds.npz").count)
    write_record(out, {**facts, "predictions": predictions}, _files(name, question, cells, pairs))
    print(_summary(pd.read_csv(out / "accuracies.csv")))


def _read(
    params: Params, question: Question, inputs: Mapping[str, Path], *, runs: Path, folds: Path
) -> list[CellReading]:
    """Return every cell with what its networks said, in the order of params.yaml."""
    names = [(dataset, model) for dataset in question.datasets for model in question.models]
    found = {cell: read_runs(runs / cell[0] / cell[1], question.folds) for cell in names}
    for (dataset, _), of_cell in found.items():
        check_records(of_cell, read_json(inputs[dataset] / "card.json")["hashes"]["train"], read_folds(folds))
    tasks = [
        ReadTask(run.folder, inputs[dataset], folds, params.execution.device_of_tasks)
        for (dataset, _), of_cell in found.items()
        for run in of_cell
    ]
    readings = iter(
        run_tasks(
            read_fold,
            tasks,
            workers=params.execution.pool,
            label=f"outcome {runs.name}",
            name=lambda task: str(task.run.relative_to(runs)),
            reads=ReadTask.reads,
        )
    )
    return [
        CellReading(of_cell, [next(readings) for _ in of_cell], load(inputs[dataset], "test"))
        for (dataset, _), of_cell in found.items()
    ]


def _facts(params: Params, name: str, cells: Sequence[CellReading], *, of_folds: int) -> dict[str, Any]:
    """Return what the record says beside the hashes of its files."""
    question, first = params.experiments[name], cells[0].runs[0].record
    return {
        "experiment": name,
        "plan": question.model_dump(mode="json"),
        "alpha": params.compare.alpha,
        "folds": question.folds,
        "of_folds": of_folds,
        "sizes": {"train": first["sizes"]["train"], "test": len(cells[0].test.ids)},
        "parameters": {f"{cell.dataset}-{cell.model}": cell.runs[0].record["parameters"] for cell in cells},
        "seconds": {f"{cell.dataset}-{cell.model}": [run.record["seconds"] for run in cell.runs] for cell in cells},
        "hardware": hardware_of(run for cell in cells for run in cell.runs),
        "read_on": sorted({each.device for cell in cells for each in cell.readings}),
        "training": first["provenance"],
        "fold_records": {f"{cell.dataset}-{cell.model}": [run.digest for run in cell.runs] for cell in cells},
        "hashes": {f"data.{cell.dataset}": cell.runs[0].record["hashes"]["data"] for cell in cells},
    }


def _write_predictions(folder: Path, cells: Sequence[CellReading]) -> dict[str, str]:
    """Write what each cell's networks said of the test samples; return file -> hash."""
    written = {}
    for cell in cells:
        path = folder / f"{cell.dataset}-{cell.model}.npz"
        said = {way: np.stack([one.test[way] for one in cell.readings]) for way in cell.ways}
        write_npz(path, {"ids": cell.test.ids, "labels": cell.test.labels, **said})
        written[path.name] = sha256_of(path)
    return written


def _files(
    name: str, question: Question, cells: Sequence[CellReading], pairs: Sequence[Mapping[str, Any]]
) -> dict[str, Writer]:
    folds = fold_table(cells)
    tables = {"folds": folds, "accuracies": accuracy_table(folds), "pairs": pd.DataFrame(pairs)}
    title = f"{name}: {question.folds} folds"
    pictures = {"accuracies": accuracy_figure(title, tables["accuracies"], folds)}
    if question.diagnose:
        tables["gradients"] = recorded(cells, "gradients.csv", ("epoch", "batch"))
        pictures["gradients"] = gradients_figure(title, tables["gradients"])
        tables["lags"] = recorded(cells, "lags.csv", ("epoch", "layer"))
        if not tables["lags"].empty:
            pictures["lags"] = lags_figure(title, tables["lags"])
    return {
        **{f"{table}.csv": partial(write_text, content=made.to_csv(index=False)) for table, made in tables.items()},
        **{f"figures/{each}.png": partial(write_bytes, content=png(made)) for each, made in pictures.items()},
    }


def _summary(table: pd.DataFrame) -> str:
    """Return the test accuracies, a line a cell."""
    shown = table[table["split"] == "test"].assign(
        text=lambda rows: [
            f"{100 * mean:.2f} ± {100 * sd:.2f}" for mean, sd in zip(rows["mean"], rows["sd"], strict=True)
        ]
    )
    wide = shown.pivot(index=["model", "dataset"], columns="way", values="text").fillna("")
    return f"Test accuracy in %: mean ± standard deviation over folds\n{wide.to_string()}"

"""Stage ``ablation_result <name>``: the first to show the sealed test set to the networks of an ablation.

Reads ``build/ablations/<name>/``, ``build/samples/``, ``build/fields/`` and ``build/folds/``; writes
``build/ablation_results/<name>/``: accuracies and verdicts as CSV, pictures, and the predictions behind them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import print

from shearbench.ablation.figures import accuracy_figure, gradients_figure, lags_figure, modes_figure
from shearbench.ablation.judged import Judged, write_judged
from shearbench.ablation.predict import ReadTask, read_fold
from shearbench.ablation.result import RunPredictions, accuracy_table, compare, fold_table, recorded
from shearbench.analysis.batch_norm.statistics import warnings_of
from shearbench.comparison.pairs import content_by_id
from shearbench.data.dataset import FOLDS, SPLITS, load
from shearbench.data.folds import read_folds
from shearbench.execution import run_tasks
from shearbench.params import Ablation, Params
from shearbench.plotting.canvas import png
from shearbench.predictions.folds import hardware_of, read_fold_runs
from shearbench.records import sha256_of, write_bytes, write_npz, write_record, write_text
from shearbench.stages.datasets import inputs_of
from shearbench.stages.present import check_ablation, check_config
from shearbench.statistics.design import Design
from shearbench.statistics.runs import Plan

Writer = Callable[[Path], None]


def main(params: Params, root: Path, name: str) -> None:
    """Read the test set with every network of an ablation, and compare.

    Raises:
        InputError: if a fold is missing, was trained on other data, or a comparison must be refused.
        TasksFailed: if a network could not be run.
    """
    ablation, build = params.ablations[name], root / "build"
    if ablation.hypotheses:
        _judge(params, root, name)
        return
    with inputs_of(name, ablation, build, SPLITS) as inputs:
        runs = _read(params, ablation, inputs, fold_runs=build / "ablations" / name)
        of_folds = read_folds(next(iter(inputs.values())) / FOLDS).count
    plan = Plan(
        Design(ablation.folds, alpha=params.compare.alpha, power=params.compare.power),
        dict.fromkeys(ablation.datasets, ablation.rope),
    )
    content = {**content_by_id(build / "samples", "train"), **content_by_id(build / "samples", "test")}
    pairs = compare(runs, plan, content)
    out = build / "ablation_results" / name
    predictions = _write_predictions(out / "predictions", runs)
    facts = _facts(params, name, runs, of_folds=of_folds)
    write_record(out, {**facts, "predictions": predictions}, _files(name, ablation, runs, pairs))
    print(_summary(pd.read_csv(out / "accuracies.csv")))


def _judge(params: Params, root: Path, name: str) -> None:
    """Judge the hypotheses of an ablation by its finished trainings, and print the verdicts."""
    ablation, build = params.ablations[name], root / "build"
    assert ablation.observed is not None, "see params"
    plan = ablation.model_dump(mode="json")
    judged = Judged(
        name, plan, ablation.folds, ablation.hypotheses, ablation.observed, partial(check_config, params, ablation)
    )
    with inputs_of(name, ablation, build, SPLITS) as inputs:
        table = write_judged(
            judged, build, inputs, workers=params.execution.pool, device=params.execution.device_of_tasks
        )
    shown = [column for column in ("accuracy", "spread", "train_loss") if column in table]
    print(table[["hypothesis", "trainings", *shown, "verdict"]].to_string(index=False))


def _read(params: Params, ablation: Ablation, inputs: Mapping[str, Path], *, fold_runs: Path) -> list[RunPredictions]:
    """Return every run with what its networks said, in the order of params.yaml."""
    names = [(dataset, model) for dataset in ablation.datasets for model in ablation.models]
    found = {run: read_fold_runs(fold_runs / run[0] / run[1], ablation.folds) for run in names}
    for (dataset, model), of_run in found.items():
        data = inputs[dataset]
        check_ablation(params, ablation, of_run, (dataset, model), data=data, folds=data / FOLDS)
    tasks = [
        ReadTask(fold_run.folder, inputs[dataset], inputs[dataset] / FOLDS, params.execution.device_of_tasks)
        for (dataset, _), of_run in found.items()
        for fold_run in of_run
    ]
    readings = iter(
        run_tasks(
            read_fold,
            tasks,
            workers=params.execution.pool,
            label=f"ablation result {fold_runs.name}",
            name=lambda task: str(task.fold_run.relative_to(fold_runs)),
            reads=ReadTask.reads,
        )
    )
    return [
        RunPredictions(of_run, [next(readings) for _ in of_run], load(inputs[dataset], "test"))
        for (dataset, _), of_run in found.items()
    ]


def _facts(params: Params, name: str, runs: Sequence[RunPredictions], *, of_folds: int) -> dict[str, Any]:
    """Return what the record says beside the hashes of its files."""
    ablation, first = params.ablations[name], runs[0].fold_runs[0].record
    return {
        "ablation": name,
        "plan": ablation.model_dump(mode="json"),
        "alpha": params.compare.alpha,
        "folds": ablation.folds,
        "of_folds": of_folds,
        "sizes": {"train": first["sizes"]["train"], "test": len(runs[0].test.ids)},
        "parameters": {f"{run.dataset}-{run.model}": run.fold_runs[0].record["parameters"] for run in runs},
        "seconds": {
            f"{run.dataset}-{run.model}": [fold_run.record["seconds"] for fold_run in run.fold_runs] for run in runs
        },
        "hardware": hardware_of(fold_run for run in runs for fold_run in run.fold_runs),
        "read_on": sorted({each.device for run in runs for each in run.readings}),
        "training": first["provenance"],
        "train_loss": {
            f"{run.dataset}-{run.model}": [float(one.history["train_loss"].iloc[-1]) for one in run.fold_runs]
            for run in runs
        },
        "warnings": warnings_of(one.record for run in runs for one in run.fold_runs),
        "fold_records": {f"{run.dataset}-{run.model}": [fold_run.digest for fold_run in run.fold_runs] for run in runs},
        "hashes": {f"data.{run.dataset}": run.fold_runs[0].record["hashes"]["data"] for run in runs},
    }


def _write_predictions(folder: Path, runs: Sequence[RunPredictions]) -> dict[str, str]:
    """Write what each run's networks said of the test samples; return file -> hash."""
    written = {}
    for run in runs:
        path = folder / f"{run.dataset}-{run.model}.npz"
        said = {
            bn_statistics: np.stack([one.test[bn_statistics] for one in run.readings])
            for bn_statistics in run.networks_by_statistics
        }
        write_npz(path, {"ids": run.test.ids, "labels": run.test.labels, **said})
        written[path.name] = sha256_of(path)
    return written


def _files(
    name: str, ablation: Ablation, runs: Sequence[RunPredictions], pairs: Sequence[Mapping[str, Any]]
) -> dict[str, Writer]:
    folds = fold_table(runs)
    tables = {"folds": folds, "accuracies": accuracy_table(folds), "pairs": pd.DataFrame(pairs)}
    title = f"{name}: {ablation.folds} folds"
    pictures = {"accuracies": accuracy_figure(title, tables["accuracies"], folds)}
    if ablation.diagnose:
        tables["gradients"] = recorded(runs, "gradients.csv", ("epoch", "batch"))
        pictures["gradients"] = gradients_figure(title, tables["gradients"])
        tables["lags"] = recorded(runs, "lags.csv", ("epoch", "layer"))
        if not tables["lags"].empty:
            tables["modes"] = recorded(runs, "modes.csv", ("epoch",))
            pictures["lags"] = lags_figure(title, tables["lags"])
            pictures["modes"] = modes_figure(title, tables["modes"])
    return {
        **{f"{table}.csv": partial(write_text, content=made.to_csv(index=False)) for table, made in tables.items()},
        **{f"figures/{each}.png": partial(write_bytes, content=png(made)) for each, made in pictures.items()},
    }


def _summary(table: pd.DataFrame) -> str:
    """Return the test accuracies, a line a run."""
    shown = table[table["split"] == "test"].assign(
        text=lambda rows: [
            f"{100 * mean:.2f} ± {100 * sd:.2f}" for mean, sd in zip(rows["mean"], rows["sd"], strict=True)
        ]
    )
    wide = shown.pivot(index=["model", "dataset"], columns="bn_statistics", values="text").fillna("")
    return f"Test accuracy in %: mean ± standard deviation over folds\n{wide.to_string()}"

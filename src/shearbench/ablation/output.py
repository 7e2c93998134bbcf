"""The files of an ablation result, and its accuracies on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.ablation import figures
from shearbench.ablation.result import RunPredictions, accuracy_table, fold_table, recorded, train_size_table
from shearbench.analysis.batch_norm.statistics import warnings_of
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.correctness import Origins
from shearbench.predictions.folds import hardware_of
from shearbench.records import sha256_of, write_npz


def write_predictions(folder: Path, runs: Sequence[RunPredictions]) -> dict[str, str]:
    """Write the test predictions of each run; return file -> hash."""
    written = {}
    for run in runs:
        path = folder / f"{run.name}.npz"
        probabilities = {name: run.tested(name).probabilities for name in run.predictions[0].test}
        write_npz(path, {"ids": run.test.ids, "labels": run.test.labels, **probabilities})
        written[path.name] = sha256_of(path)
    return written


def files_of(
    name: str, runs: Sequence[RunPredictions], pairs: Sequence[Mapping[str, Any]], origins: Origins, *, diagnosed: bool
) -> Files:
    """Return the tables and figures of an ablation.

    ``pairs`` are from :func:`shearbench.ablation.result.compare`. ``diagnosed`` trainings recorded gradients and lags.
    """
    folds, fold_runs = fold_table(runs), {(run.dataset, run.model): run.fold_runs for run in runs}
    tables = {"folds": folds, "accuracies": accuracy_table(folds, runs, origins), "pairs": pd.DataFrame(pairs)}
    if any(run.is_nested for run in runs):
        tables["train_size"] = train_size_table(tables["accuracies"], runs)
    if diagnosed:
        tables["gradients"] = recorded(fold_runs, "gradients.csv", ("epoch", "batch"))
        tables["lags"] = recorded(fold_runs, "lags.csv", ("epoch", "layer"))
        if not tables["lags"].empty:
            tables["modes"] = recorded(fold_runs, "modes.csv", ("epoch",))
    return {**{f"{name}.csv": table(made) for name, made in tables.items()}, **figures_of(name, tables)}


def figures_of(name: str, tables: Mapping[str, pd.DataFrame]) -> Files:
    """Return the figures of an ablation, drawn from its tables."""
    title = f"{name}: {tables['folds']['fold'].nunique()} folds"
    drawn = {"accuracies": figures.accuracy_figure(title, tables["accuracies"], tables["folds"])}
    others = {
        **{"train_size": figures.train_size_figure, "gradients": figures.gradients_figure},
        **{"lags": figures.lags_figure, "modes": figures.modes_figure},
    }
    for each, draw in others.items():
        if each in tables and not tables[each].empty:
            drawn[each] = draw(title, tables[each])
    return {f"figures/{each}.png": picture(made) for each, made in drawn.items()}


def summary(accuracies: pd.DataFrame) -> str:
    """Return the test accuracies as text, one line per run."""
    shown = accuracies[accuracies["split"] == "test"].assign(
        text=lambda rows: [
            f"{100 * mean:.2f} ± {100 * sd:.2f}" for mean, sd in zip(rows["mean"], rows["sd"], strict=True)
        ]
    )
    wide = shown.pivot(index=["model", "dataset"], columns="bn_statistics", values="text").fillna("")
    return f"Test accuracy in %: mean ± standard deviation over folds\n{wide.to_string()}"


def facts_of(runs: Sequence[RunPredictions]) -> dict[str, Any]:
    """Return the facts of the runs for the record: sizes, costs, hardware, and the hashes of their data and folds."""
    first, by_name = runs[0].fold_runs[0].record, {run.name: run for run in runs}
    return {
        "folds": len(runs[0].fold_runs),
        "sizes": {"train": first["sizes"]["train"], "test": len(runs[0].test.ids)},
        "train_sizes": {name: run.train_size for name, run in by_name.items()},
        "parameters": {name: run.fold_runs[0].record["parameters"] for name, run in by_name.items()},
        "seconds": {name: [each.record["seconds"] for each in run.fold_runs] for name, run in by_name.items()},
        "hardware": hardware_of(fold_run for run in runs for fold_run in run.fold_runs),
        "read_on": sorted({each.device for run in runs for each in run.predictions}),
        "training": first["provenance"],
        "train_loss": {
            name: [float(each.history["train_loss"].iloc[-1]) for each in run.fold_runs]
            for name, run in by_name.items()
            if run.fold_runs[0].is_network
        },
        "warnings": warnings_of(each.record for run in runs for each in run.fold_runs),
        "fold_records": {name: [each.digest for each in run.fold_runs] for name, run in by_name.items()},
        "hashes": {f"data.{run.dataset}": run.fold_runs[0].record["hashes"]["data"] for run in runs},
    }

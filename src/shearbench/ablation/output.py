"""The files of an ablation result, and its accuracies on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.ablation.figures import (
    accuracy_figure,
    gradients_figure,
    lags_figure,
    modes_figure,
    train_size_figure,
)
from shearbench.ablation.result import RunPredictions, accuracy_table, fold_table, recorded, train_size_table
from shearbench.analysis.batch_norm.statistics import warnings_of
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.folds import hardware_of
from shearbench.records import sha256_of, write_npz


def write_predictions(folder: Path, runs: Sequence[RunPredictions]) -> dict[str, str]:
    """Write the test predictions of each run; return file -> hash."""
    written = {}
    for run in runs:
        path = folder / f"{run.dataset}-{run.model}.npz"
        probabilities = {
            bn_statistics: np.stack([one.test[bn_statistics] for one in run.readings])
            for bn_statistics in run.networks_by_statistics
        }
        write_npz(path, {"ids": run.test.ids, "labels": run.test.labels, **probabilities})
        written[path.name] = sha256_of(path)
    return written


def files_of(
    name: str,
    runs: Sequence[RunPredictions],
    pairs: Sequence[Mapping[str, Any]],
    groups: Mapping[int, int],
    *,
    diagnosed: bool,
) -> Files:
    """Return the tables and figures of an ablation.

    Args:
        name: of the ablation.
        runs: its runs.
        pairs: from :func:`shearbench.ablation.result.compare`.
        groups: id -> writer of each sample, or -1.
        diagnosed: whether the trainings recorded gradients and lags.
    """
    folds = fold_table(runs)
    tables = {"folds": folds, "accuracies": accuracy_table(folds, runs, groups), "pairs": pd.DataFrame(pairs)}
    if any(run.is_nested for run in runs):
        tables["train_size"] = train_size_table(tables["accuracies"], runs)
    if diagnosed:
        tables["gradients"] = recorded(runs, "gradients.csv", ("epoch", "batch"))
        tables["lags"] = recorded(runs, "lags.csv", ("epoch", "layer"))
        if not tables["lags"].empty:
            tables["modes"] = recorded(runs, "modes.csv", ("epoch",))
    return {**{f"{name}.csv": table(made) for name, made in tables.items()}, **figures_of(name, tables)}


def figures_of(name: str, tables: Mapping[str, pd.DataFrame]) -> Files:
    """Return the figures of an ablation, drawn from its tables."""
    title = f"{name}: {tables['folds']['fold'].nunique()} folds"
    drawn = {"accuracies": accuracy_figure(title, tables["accuracies"], tables["folds"])}
    others = {
        "train_size": train_size_figure,
        "gradients": gradients_figure,
        "lags": lags_figure,
        "modes": modes_figure,
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
    first = runs[0].fold_runs[0].record
    return {
        "folds": len(runs[0].fold_runs),
        "sizes": {"train": first["sizes"]["train"], "test": len(runs[0].test.ids)},
        "train_sizes": {f"{run.dataset}-{run.model}": run.train_size for run in runs},
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
            if run.fold_runs[0].is_network
        },
        "warnings": warnings_of(one.record for run in runs for one in run.fold_runs),
        "fold_records": {f"{run.dataset}-{run.model}": [fold_run.digest for fold_run in run.fold_runs] for run in runs},
        "hashes": {f"data.{run.dataset}": run.fold_runs[0].record["hashes"]["data"] for run in runs},
    }

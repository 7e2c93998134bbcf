"""The files of an ablation result, its figures, and its accuracies on the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.ablation.result import (
    DURING_TRAINING,
    RunPredictions,
    accuracy_table,
    fold_table,
    recorded,
    train_size_table,
)
from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BATCH, RECALIBRATED, warnings_of
from shearbench.plotting.canvas import PALETTE, colours, figure, plain, readable_log
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.evaluated import Origins
from shearbench.predictions.folds import hardware_of
from shearbench.records import sha256_of, write_npz

_SHOWN: Mapping[tuple[str, str], tuple[str, str, str]] = {  # (split, bn_statistics) -> label, colour, marker
    ("train", DURING_TRAINING): ("training samples, training mode", PALETTE[0], "o"),
    ("train", AS_TRAINED): ("training samples, evaluation mode", PALETTE[5], "s"),
    ("test", AS_TRAINED): ("test samples", PALETTE[1], "D"),
    ("test", BATCH): ("test samples, batch statistics", PALETTE[2], "^"),
    ("test", RECALIBRATED): ("test samples, recalibrated", PALETTE[3], "v"),
}
_STEP = 0.15  # between the marks of one dataset
_LEAST_RATIO = 0.5  # log2 of running / present deviation that is worth a figure


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
    drawn = {"accuracies": accuracy_figure(title, tables["accuracies"], tables["folds"])}
    others = {
        **{"train_size": train_size_figure, "gradients": gradients_figure},
        **{"lags": lags_figure, "modes": modes_figure},
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
        "first_train_loss": _train_losses(runs, 0),
        "train_loss": _train_losses(runs, -1),
        "warnings": warnings_of(each.record for run in runs for each in run.fold_runs),
        "fold_records": {name: [each.digest for each in run.fold_runs] for name, run in by_name.items()},
        "hashes": {f"data.{run.dataset}": run.fold_runs[0].record["hashes"]["data"] for run in runs},
    }


def _train_losses(runs: Sequence[RunPredictions], epoch: int) -> dict[str, list[float]]:
    return {
        run.name: [float(each.history["train_loss"].iloc[epoch]) for each in run.fold_runs]
        for run in runs
        if run.fold_runs[0].is_network
    }


def accuracy_figure(title: str, table: pd.DataFrame, folds: pd.DataFrame) -> Figure:
    """Draw mean and 95 % interval over the folds, and one dot per fold.

    The figure has a panel per model and a group per dataset; with one dataset, one panel with a group per model.
    """
    across, along = _sides(table)
    titles, groups = list(dict.fromkeys(table[across])), list(dict.fromkeys(table[along]))
    made = figure(9, 1.1 + (0.35 + 0.42 * len(groups)) * len(titles))
    panels = np.atleast_1d(made.subplots(len(titles), 1, sharex=True))
    for panel, name in zip(panels, titles, strict=True):
        own, dots = (each[each[across] == name] for each in (table, folds))
        for number, ((split, bn_statistics), look) in enumerate(_SHOWN.items()):
            place = {group: y + (number - 2) * _STEP for y, group in enumerate(groups)}
            rows, single = (_of(each, split, bn_statistics) for each in (own, dots))
            if len(rows):
                _marks(panel, rows, single, look=look, y=(rows[along].map(place), single[along].map(place)))
        panel.set_yticks(range(len(groups)), groups)
        panel.set_ylim(len(groups) - 0.5, -0.5)
        panel.set_title(name, loc="left", fontsize=10)
        plain(panel)
    least = min(_shown(table)["low"].min(), _shown(folds)["accuracy"].min())
    start = min(max(int(10 * least) * 10, 0), 90)  # the multiple of 10 below all drawn values
    panels[-1].set_xlim(start - (100 - start) / 50, 100 + (100 - start) / 50)
    begins = f"; the scale begins at {start}" if start else ""
    panels[-1].set_xlabel(
        f"accuracy in %{begins}\nmean, 95 % interval (test: other samples, another training) and one dot per fold"
    )
    return _with_legend(made, title, panels)


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    return table[[kind in _SHOWN for kind in zip(table["split"], table["bn_statistics"], strict=True)]]


def _of(table: pd.DataFrame, split: str, bn_statistics: str) -> pd.DataFrame:
    return table[(table["split"] == split) & (table["bn_statistics"] == bn_statistics)]


def _marks(
    panel: Axes, rows: pd.DataFrame, dots: pd.DataFrame, *, look: tuple[str, str, str], y: tuple[pd.Series, pd.Series]
) -> None:
    """Draw means with their intervals, and the folds as dots, at the heights ``y``."""
    label, colour, marker = look
    mean = 100 * rows["mean"]
    reach = [mean - 100 * rows["low"], 100 * rows["high"] - mean]
    means, _, _ = panel.errorbar(
        mean, y[0], xerr=reach, label=label, color=colour, fmt=marker, markersize=5, elinewidth=1.2, capsize=2
    )
    means.set_zorder(4)  # above the dots of the folds, which are above the line of the interval
    panel.scatter(100 * dots["accuracy"], y[1], s=12, facecolor=colour, edgecolor="white", linewidths=0.6, zorder=3)


def _sides(table: pd.DataFrame) -> tuple[str, str]:
    """Return the columns of panels and of groups: datasets are groups if there are several."""
    return ("model", "dataset") if table["dataset"].nunique() > 1 else ("dataset", "model")


def lags_figure(title: str, lags: pd.DataFrame) -> Figure:
    """Draw the lag of each layer's running averages: one row per layer, one column per epoch, one panel per run.

    Panels of the running deviations are left out if all of them are close to the present ones.
    """
    runs = list(dict.fromkeys(zip(lags["dataset"], lags["model"], strict=True)))
    layers = list(dict.fromkeys(lags["layer"]))
    shift, ratio = lags["mean"], np.log2(lags["deviation"])
    span = f"{ratio.min():.2f} to {ratio.max():.2f}".replace("-", "\N{MINUS SIGN}")
    kinds = [(shift, f"shift of the mean, in deviations (0 to {shift.max():.2f})", "viridis", 0.0, 2.0)]
    if ratio.abs().max() > _LEAST_RATIO:
        kinds.append((ratio, f"log2 of running / present deviation ({span})", "coolwarm", -3.0, 3.0))
    else:
        title += f"\nlog2 of running / present deviation: {span}"
    made = figure(max(8.0, 1.6 + 1.5 * len(runs)), 1.6 + 0.2 * len(layers) * len(kinds))
    panels = made.subplots(len(kinds), len(runs), sharey=True, squeeze=False)
    for row, (column, label, scale, low, high) in zip(panels, kinds, strict=True):
        for panel, (dataset, model) in zip(row, runs, strict=True):
            own = lags.assign(shown=column)[(lags["dataset"] == dataset) & (lags["model"] == model)]
            values = own.pivot(index="layer", columns="epoch", values="shown").loc[layers]
            drawn = panel.imshow(values, aspect="auto", cmap=scale, vmin=low, vmax=high)
            few = range(0, len(values.columns), -(-len(values.columns) // 4))
            panel.set_xticks(few, [str(values.columns[place]) for place in few])
            panel.set_yticks(range(len(layers)), layers, fontsize=7)
        made.colorbar(drawn, ax=list(row), label=label, extend="max" if low == 0 else "both", shrink=0.8)
    for panel, (dataset, model) in zip(panels[0], runs, strict=True):
        panel.set_title(f"{dataset.removeprefix('mechanical_')}\n{model}", fontsize=8)
    for panel in panels[:-1].flat:
        panel.tick_params(labelbottom=False)
    for panel in panels[-1]:
        panel.set_xlabel("epoch", fontsize=8)
    made.suptitle(title, fontsize=11)
    return made


def gradients_figure(title: str, gradients: pd.DataFrame) -> Figure:
    """Draw the norm of the gradient at every step, the mean over the folds.

    The figure has a panel per model and a line per dataset; with one dataset, one panel with a line per model.
    """
    across, along = _sides(gradients)
    titles = list(dict.fromkeys(gradients[across]))
    shades = colours(list(dict.fromkeys(gradients[along])))
    made = figure(9, 1.0 + (2.4 if len(titles) > 1 else 3.6) * len(titles))
    panels = np.atleast_1d(made.subplots(len(titles), 1, sharex=True, sharey=True))
    for panel, title_of_panel in zip(panels, titles, strict=True):
        for name, colour in shades.items():
            own = gradients[(gradients[across] == title_of_panel) & (gradients[along] == name)]
            panel.plot(np.arange(1, len(own) + 1), own["norm"], color=colour, linewidth=0.9, label=name)
        panel.set_yscale("log")
        readable_log(panel.yaxis)
        panel.set_ylabel("norm of the gradient")
        panel.set_title(title_of_panel, loc="left", fontsize=10)
        plain(panel)
    panels[-1].set_xlabel("step (mini-batch); mean over the folds")
    return _with_legend(made, title, panels)


def modes_figure(title: str, modes: pd.DataFrame) -> Figure:
    """Draw the held-out accuracy after each epoch by batch-norm statistics, averaged over folds, one panel per run."""
    runs = list(dict.fromkeys(zip(modes["dataset"], modes["model"], strict=True)))
    columns = min(4, len(runs))
    rows = -(-len(runs) // columns)
    made = figure(max(7.0, 2.6 * columns + 0.6), 2.1 * rows + 1.2)
    panels = made.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for panel, (dataset, model) in zip(panels, runs, strict=False):
        own = modes[(modes["dataset"] == dataset) & (modes["model"] == model)]
        for bn_statistics in (AS_TRAINED, BATCH, RECALIBRATED):
            label, colour, _ = _SHOWN["test", bn_statistics]
            label = label.replace("test", "held-out")
            panel.plot(own["epoch"], 100 * own[bn_statistics], color=colour, linewidth=1.1, label=label)
        panel.set_title(f"{dataset.removeprefix('mechanical_')}, {model}", loc="left", fontsize=8)
        panel.set_ylim(0, 100)
        plain(panel)
    for place, panel in enumerate(panels):
        panel.set_visible(place < len(runs))
        if place % columns == 0:
            panel.set_ylabel("accuracy in %", fontsize=9)
        if place + columns >= len(runs):
            panel.set_xlabel("epoch", fontsize=9)
            panel.tick_params(labelbottom=True)  # those of a shared axis are at the last row alone
    return _with_legend(made, title, panels[: len(runs)])


def train_size_figure(title: str, curve: pd.DataFrame) -> Figure:
    """Draw the cross-validated accuracy with its 95 % interval against the training samples, one panel per dataset."""
    datasets = list(dict.fromkeys(curve["dataset"]))
    shades = colours(list(dict.fromkeys(curve["curve"])))
    made = figure(1.6 + 4.4 * len(datasets), 3.8)
    panels = made.subplots(1, len(datasets), sharey=True, squeeze=False)[0]
    for panel, dataset in zip(panels, datasets, strict=True):
        for name, colour in shades.items():
            own = curve[(curve["dataset"] == dataset) & (curve["curve"] == name)]
            reach = 100 * np.stack([own["mean"] - own["low"], own["high"] - own["mean"]])
            style = {"color": colour, "marker": "o", "markersize": 5, "linewidth": 1.2, "capsize": 2}
            panel.errorbar(own["train_size"], 100 * own["mean"], reach, label=name, **style)
        panel.set_xscale("log")
        sizes = sorted(set(curve["train_size"]))
        panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
        panel.minorticks_off()
        panel.set_title(dataset, loc="left", fontsize=10)
        panel.set_xlabel("training samples")
        plain(panel)
    panels[0].set_ylabel("cross-validated accuracy in %")
    return _with_legend(made, title, panels)


def _with_legend(made: Figure, title: str, panels: Iterable[Axes]) -> Figure:
    """Return the figure with its title, and one legend below all panels."""
    made.suptitle(title, fontsize=11)
    by_label: dict[str, Any] = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        by_label |= dict(zip(labels, handles, strict=True))
    below: Any = "outside lower center"
    made.legend(list(by_label.values()), list(by_label), loc=below, ncols=3, frameon=False, fontsize=8)
    return made

"""Compare the calibration of all runs across datasets: a table, and one figure of reliability and coverage."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from shearbench.plotting.canvas import INK, OF_DATASETS, accuracy_band, colours, figure, headed, plain
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.scores import STAGES, draw_reliability
from shearbench.predictions.calibration import BINS
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

COVERAGES = (1.0, 0.95, 0.9, 0.8)
_SCORES = ("ece", "ece_by_chance", "nll", "brier")
_LABELS = ("accuracy, as trained", "accuracy, temperature scaled", "accuracy on predicted samples (%)")


def calibration(evaluated: EvaluatedRuns) -> Files:
    """Return the calibration of every run on the test set, as a table and a figure."""
    return {
        "calibration.csv": table(pd.DataFrame([summary_of(run) for run in evaluated.runs])),
        "figures/calibration.png": picture(calibration_figure(evaluated)),
    }


def summary_of(run: EvaluatedRun) -> dict[str, Any]:
    """Return mean and standard deviation over the networks of a run, on the test set.

    Columns: ``dataset, model, networks, n``; ``temperature``; ``ece, ece_by_chance, nll, brier`` before and after
    temperature scaling (:func:`shearbench.analysis.calibration.summarise.calibration`); accuracy at each of
    ``COVERAGES``, mean over the networks with Wilson's 95 % interval.
    """
    rows, curve = run.table("calibration.csv").query("split == 'test'"), run.table("coverage.csv").set_index("coverage")
    by_stage = {stage: rows[rows["stage"] == stage] for stage in STAGES}
    columns = {"temperature": by_stage["before"]["temperature"]}
    columns |= {f"{score}_{stage}": part[score] for stage, part in by_stage.items() for score in _SCORES}
    row: dict[str, Any] = {"dataset": run.dataset, "model": run.model}
    row |= {"networks": rows["fold"].nunique(), "n": int(rows["n"].iloc[0])}
    for name, values in columns.items():
        row |= {f"{name}_mean": float(values.mean()), f"{name}_sd": float(values.std())}
    for coverage in COVERAGES:
        name, at = f"accuracy_at_{round(100 * coverage)}", curve.loc[coverage]
        row |= {name: at["accuracy_mean"], f"{name}_low": at["accuracy_low"], f"{name}_high": at["accuracy_high"]}
    return row


def calibration_figure(evaluated: EvaluatedRuns) -> Figure:
    """Draw reliability before and after temperature scaling, and accuracy against coverage; one column per model."""
    models, colour = evaluated.models, colours(evaluated.datasets, OF_DATASETS)
    made = figure(3.1 * len(models) + 0.8, 9.2)
    grid = made.subplots(3, len(models), squeeze=False, sharey="row")
    for column, model in enumerate(models):
        for run in evaluated.of_model(model):
            bins, curve = run.table("reliability.csv"), run.table("coverage.csv")
            for axes, stage in zip(grid[:, column], STAGES, strict=False):
                draw_reliability(axes, bins[bins["stage"] == stage], colour[run.dataset], run.dataset)
            accuracy_band(grid[2, column], colour[run.dataset], 100 * curve["coverage"], curve)
        for axes in grid[:2, column]:
            axes.plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":")
            axes.set_xlabel("confidence")
        grid[0, column].set_title(model, fontsize=11)
        grid[2, column].set_xlabel("coverage (%)")
    for axes in grid.flat:
        plain(axes)
    for axes, label in zip(grid[:, 0], _LABELS, strict=True):
        axes.set_ylabel(label)
    handles = {name: handle for axes in grid[0] for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    title = f"Test samples, mean over the networks, 95 % intervals; {BINS} bins of equal width"
    headed(made, title, list(handles.values()))
    return made

"""Compare errors by class across datasets, and the share of the errors on classes 3, 5 and 8."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.data.dataset import DIGITS
from shearbench.plotting.canvas import GREY, OF_DATASETS, class_ticks, colours, figure, headed, plain
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.predictions.estimates import share_with_interval
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

ROUND = (3, 5, 8)
"""The digits with the most errors, according to the study of Mechanical MNIST."""
TOGETHER = " ".join(DIGITS[digit] for digit in ROUND)


def classes(evaluated: EvaluatedRuns) -> Files:
    """Return the share of the errors by class, and one figure per source."""
    shares = pd.DataFrame([row for run in evaluated.runs for row in shares_of(run)])
    files: dict[str, Writer] = {"errors_by_class.csv": table(shares)}
    for name, part in evaluated.by_source().items():
        of_source = shares[shares["dataset"].isin(part.datasets)]
        files[f"figures/classes{name}.png"] = picture(classes_figure(part, of_source))
    return files


def shares_of(run: EvaluatedRun) -> Iterator[dict[str, Any]]:
    """Yield one row per class and, for digits, one for the classes ``ROUND`` together; out of fold.

    Columns: ``dataset, model``; ``classes`` (true); ``n`` samples of them; ``errors``, the misclassified ones, mean
    over the repeats; ``rate`` = errors / n with Wilson's 95 % interval; ``all_errors`` of the run; ``share`` =
    errors / all_errors with Wilson's interval for that many errors; ``share_of_samples``, their share if all
    classes were equally hard.
    """
    predictions = run.out_of_fold
    wrong = (~predictions.correct).mean(axis=0)
    names = tuple(run.record["classes"])
    for group in [*((number,) for number in range(len(names))), *([ROUND] if names == DIGITS else [])]:
        rows = np.isin(predictions.labels, group)
        n, errors, total = int(rows.sum()), float(wrong[rows].sum()), float(wrong.sum())
        yield {
            "dataset": run.dataset,
            "model": run.model,
            "classes": " ".join(names[number] for number in group),
            "n": n,
            "errors": errors,
            **share_with_interval("rate", errors, n),
            "all_errors": total,
            **share_with_interval("share", errors, total),
            "share_of_samples": n / len(rows),
        }


def classes_figure(evaluated: EvaluatedRuns, shares: pd.DataFrame) -> Figure:
    """Draw the error rate of each class, one panel per model, and below the share of the errors on ``ROUND``."""
    models, colour = evaluated.models, colours(evaluated.datasets, OF_DATASETS)
    together = shares[shares["classes"] == TOGETHER]
    below = 0.6 + 0.3 * len(evaluated.runs) if len(together) else 0.01
    made = figure(3.1 * len(models) + 0.8, (4.0 if len(together) else 3.4) + 0.34 * len(evaluated.runs))
    grid = made.add_gridspec(2, len(models), height_ratios=[2.6, below])
    first: Axes | None = None
    for column, model in enumerate(models):
        axes = made.add_subplot(grid[0, column], sharey=first)
        first = first or axes
        _rates(axes, shares[(shares["model"] == model) & (shares["classes"] != TOGETHER)], colour)
        axes.set_title(model, fontsize=11)
        axes.tick_params(labelleft=column == 0)
    assert first is not None, "a suite has a run"
    first.set_ylabel("error (%), 95 % interval")
    first.set_ylim(bottom=0)
    if len(together):
        _shares(made.add_subplot(grid[1, :]), together, colour)
    headed(made, "Cross-validated error by class", first.get_legend_handles_labels()[0])
    return made


def _rates(axes: Axes, rows: pd.DataFrame, colour: dict[str, str]) -> None:
    for place, (name, shade) in enumerate(colour.items()):
        part = rows[rows["dataset"] == name]
        shift = 0.5 * ((place + 0.5) / len(colour) - 0.5)
        values = 100 * part["rate"]
        reach = [values - 100 * part["rate_low"], 100 * part["rate_high"] - values]
        axes.errorbar(np.arange(len(part)) + shift, values, reach, fmt="o", ms=4, lw=1, color=shade, label=name)
    plain(axes)
    class_ticks(axes.xaxis, list(rows["classes"].drop_duplicates()))
    axes.set_xlabel("true class")


def _shares(axes: Axes, rows: pd.DataFrame, colour: dict[str, str]) -> None:
    for place, (_, row) in enumerate(rows.iterrows()):
        ends = [100 * row["share_low"], 100 * row["share_high"]]
        axes.plot(ends, [place, place], color=colour[row["dataset"]], lw=1.4)
        axes.plot(100 * row["share"], place, "o", ms=6, color=colour[row["dataset"]])
        axes.plot(2 * [100 * row["share_of_samples"]], [place - 0.4, place + 0.4], color=GREY, lw=1.4, ls=":")
    names = [f"{row['model']} on {row['dataset']} ({row['all_errors']:.0f} errors)" for _, row in rows.iterrows()]
    plain(axes)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    samples = f"{', '.join(str(digit) for digit in ROUND[:-1])} and {ROUND[-1]}"
    text = f"share of the errors on digits {samples} (%), 95 % interval\ndotted: their share of the digits"
    axes.set_xlabel(text)

"""Compare accuracy with the cost of a model: operations, latency, parameters and training time."""

import pandas as pd
from matplotlib.figure import Figure

from shearbench.plotting.canvas import colours, entry, figure, plain, readable_log
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns

_COSTS = {
    "flops": ("MFLOPs of a prediction", 1e-6),
    "seconds_1": ("ms/image, batches of 1", 1e3),
    "seconds_64": ("ms/image, batches of 64", 1e3),
    "parameters": ("million parameters", 1e-6),
    "seconds_per_fold": ("s to train a fold", 1.0),
}
"""Column of ``cost.csv`` -> its axis label and the factor to the unit of the axis."""


def cost(evaluated: EvaluatedRuns) -> Files:
    """Return ``cost.csv``, one row per run, and its figure.

    Columns: ``dataset, model``; ``accuracy``, cross-validated, with its 95 % interval ``low`` to ``high``;
    ``flops`` of a prediction (empty where unknown), ``seconds_1`` and ``seconds_64`` per image in batches of 1 and 64,
    ``parameters``, ``seconds_per_fold`` of training.
    """
    rows = pd.DataFrame([_row(run) for run in evaluated.runs])
    return {"cost.csv": table(rows), "figures/cost.png": picture(cost_figure(evaluated, rows))}


def _row(run: EvaluatedRun) -> dict[str, str | float | None]:
    scores, measured = run.numbers("metrics.json")["out_of_fold"], run.record["measurements"]["cost"]
    return {
        "dataset": run.dataset,
        "model": run.model,
        **{name: scores[f"accuracy_{part}"] for name, part in (("accuracy", "mean"), ("low", "low"), ("high", "high"))},
        "flops": measured["flops"],
        **{f"seconds_{batch}": seconds for batch, seconds in measured["seconds"].items()},
        **{name: run.record[name] for name in ("parameters", "seconds_per_fold")},
    }


def cost_figure(evaluated: EvaluatedRuns, rows: pd.DataFrame) -> Figure:
    """Draw accuracy with its interval against cost: a row per dataset, a column per cost, a colour per model."""
    colour = colours(evaluated.palette)
    made = figure(2.5 * len(_COSTS) + 0.8, 2.3 * len(evaluated.datasets) + 0.9)
    grid = made.subplots(len(evaluated.datasets), len(_COSTS), squeeze=False, sharex="col", sharey="row")
    for line, dataset in zip(grid, evaluated.datasets, strict=True):
        for axes, (name, (_, factor)) in zip(line, _COSTS.items(), strict=True):
            for one in rows[(rows["dataset"] == dataset) & rows[name].notna()].to_dict("records"):
                reach = [[100 * (one["accuracy"] - one["low"])], [100 * (one["high"] - one["accuracy"])]]
                axes.errorbar(
                    factor * one[name], 100 * one["accuracy"], reach, fmt="o", color=colour[one["model"]], ms=6, lw=1.2
                )
            axes.set_xscale("log")
            plain(axes)
            readable_log(axes.xaxis)
        line[0].set_ylabel(f"{dataset}\naccuracy (%)")
    for axes, (label, _) in zip(grid[-1], _COSTS.values(), strict=True):
        axes.set_xlabel(label)
    handles = [entry(model, colour[model], ls="", marker="o") for model in evaluated.models]
    made.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)
    return made

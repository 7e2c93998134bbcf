"""Compare errors with displacement: error rate by quantile of displacement, with an interval.

Networks that predict images of the same samples are the control. They never get a displacement, so a trend that they
share comes from the shapes of the samples.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shearbench.analysis.displacement import measures
from shearbench.analysis.displacement.measures import QUANTILES, Values
from shearbench.data.trend import homogeneous_field
from shearbench.plotting.canvas import OF_DATASETS, colours, entry, figure, headed, plain
from shearbench.plotting.files import Files, picture, table
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns
from shearbench.predictions.scores import share_with_interval

_LABELS = {
    "overall": "mean |u| (pixel)",
    "stroke": "|u| on the stroke (pixel)",
    "disturbance": "mean $|u - u^0|$ (pixel)",
    "gradient": "mean norm of the gradient of u",
}


def displacement(evaluated: EvaluatedRuns) -> Files:
    """Return errors by quantile of displacement, for every dataset of fields; without one there are no files."""
    found = {name: errors_of(evaluated, name) for name in evaluated.datasets if "load" in evaluated.entry(name)}
    if not found:
        return {}
    rates, areas = (pd.concat(parts, ignore_index=True) for parts in zip(*found.values(), strict=True))
    figures = {
        f"figures/displacement_{name}.png": picture(displacement_figure(evaluated, name, rates_of))
        for name, (rates_of, _) in found.items()
    }
    return {"errors_by_displacement.csv": table(rates), "displacement_areas.csv": table(areas), **figures}


def errors_of(evaluated: EvaluatedRuns, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return error rates by quantile and areas under the ROC curve, for the displacement of the fields ``name``.

    Columns of both: ``fields``; ``measure`` (:func:`shearbench.analysis.displacement.measures.measures`); ``ranked``:
    ``all`` samples, or ``within class``; ``dataset, model`` of the out-of-fold predictions.

    Columns of the rates: ``quantile`` 1 (least displaced) to 5; ``low, high``, its ends; ``n`` samples; ``errors``
    (mean over repeats); ``rate`` with Wilson's 95 % interval.

    Columns of the areas: ``n``, ``errors``; ``large``, the probability that a misclassified sample is displaced
    more than a correct one; ``odd``, that its displacement is farther from the median; with intervals by DeLong.
    """
    data, samples, entry = evaluated.data(name, "train"), evaluated.samples("train", name), evaluated.entry(name)
    assert np.array_equal(data.ids, samples.ids), "a dataset keeps the ids and the order of its samples"
    block = homogeneous_field(entry["load"], entry["step"], data.size)
    found = measures.measures(data.inputs.astype(np.float64), samples.images, block)
    runs = [run for run in evaluated.runs if run.dataset in (name, evaluated.reference(name))]
    predicted = np.all([np.isin(data.ids, run.out_of_fold.ids) for run in runs], axis=0)
    wrong_by_run = {run.name: _wrong(run, data.ids[predicted]) for run in runs}
    rates, areas = list[dict[str, Any]](), list[dict[str, Any]]()
    for measure, every in found.items():
        known = ~np.isnan(every[predicted])
        values, labels = every[predicted][known], data.labels[predicted][known]
        for ranked, order in {"all": values, "within class": measures.within(values, labels)}.items():
            for run in runs:
                wrong = wrong_by_run[run.name][known]
                key = {"fields": name, "measure": measure, "ranked": ranked, "dataset": run.dataset, "model": run.model}
                rates += [{**key, **row} for row in _by_quantile(values, order, wrong)]
                areas.append({**key, **_areas(order, wrong)})
    return pd.DataFrame(rates), pd.DataFrame(areas)


def _areas(order: Values, wrong: Values) -> dict[str, Any]:
    row: dict[str, Any] = {"n": len(wrong), "errors": float(wrong.sum())}
    for name, values in (("large", order), ("odd", measures.oddness(order))):
        area, low, high = measures.area_with_interval(values, wrong)
        row |= {name: area, f"{name}_low": low, f"{name}_high": high}
    return row


def _wrong(run: EvaluatedRun, ids: Any) -> Values:
    """Return the share of a run's networks that misclassify each sample out of fold, in the order of ``ids``."""
    predictions = run.out_of_fold
    places = np.searchsorted(predictions.ids, ids)
    assert np.array_equal(predictions.ids[places], ids), "predicted out of fold"
    shares: Values = (~predictions.correct).mean(axis=0)[places]
    return shares


def _by_quantile(values: Values, order: Values, wrong: Values) -> Iterator[dict[str, Any]]:
    group = measures.quantile_of(order)
    for quantile in np.unique(group):  # with few samples not all quantiles
        rows = group == quantile
        n, errors = int(rows.sum()), float(wrong[rows].sum())
        ends = {"low": values[rows].min(), "high": values[rows].max()}
        rates = share_with_interval("rate", errors, n)
        yield {"quantile": int(quantile) + 1, **ends, "n": n, "errors": errors, **rates}


def displacement_figure(evaluated: EvaluatedRuns, name: str, rates: pd.DataFrame) -> Figure:
    """Draw error rate against displacement within classes: a row per measure, a column per model."""
    models = [model for model in evaluated.models if (rates["model"] == model).any()]
    names = [dataset for dataset in evaluated.datasets if (rates["dataset"] == dataset).any()]
    colour = colours(evaluated.datasets, OF_DATASETS)
    made = figure(2.6 * len(models) + 0.8, 2.3 * len(_LABELS) + 0.9)
    grid = made.subplots(len(_LABELS), len(models), squeeze=False, sharey=True)
    ranked = rates[rates["ranked"] == "within class"]
    for row, measure in enumerate(_LABELS):
        for column, model in enumerate(models):
            axes = grid[row, column]
            _rates(axes, ranked[(ranked["measure"] == measure) & (ranked["model"] == model)], colour)
            axes.set_xlabel(f"fifth by {_LABELS[measure]}", fontsize=8)
            if row == 0:
                axes.set_title(model, fontsize=11)
        grid[row, 0].set_ylabel("misclassified (%)")
    grid[0, 0].set_ylim(bottom=0)
    title = (
        f"Errors by displacement of {name}: 1 is the least displaced fifth of each class, 5 the most; 95 % intervals\n"
        "$u^0$: displacement of the block without a digit"
    )
    headed(made, title, [entry(dataset, colour[dataset], marker="o", ms=4) for dataset in names])
    return made


def _rates(axes: Axes, rates: pd.DataFrame, colour: dict[str, str]) -> None:
    for place, (dataset, part) in enumerate(rates.groupby("dataset", sort=False)):
        shade = colour[str(dataset)]
        values = 100 * part["rate"]
        reach = [values - 100 * part["rate_low"], 100 * part["rate_high"] - values]
        shift = 0.16 * (place - 0.5)
        axes.errorbar(part["quantile"] + shift, values, reach, fmt="o-", ms=4, lw=1, color=shade)
    plain(axes)
    axes.set_xticks(range(1, QUANTILES + 1))

"""Compare errors across datasets: by class, with the share on classes 3, 5 and 8, by pair of confused classes, and by
suspicious training label. The more runs suspect a label, the more likely it is wrong.

Out of fold, each training sample is predicted once per repeat, by a network that was not trained on it; counts are
means over the repeats. The samples are the same on all datasets, so McNemar's test pairs them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.data.dataset import DIGITS
from shearbench.plotting import canvas
from shearbench.plotting.files import Files, Writer, picture, table
from shearbench.plotting.tiles import GREY as IN_GREY
from shearbench.plotting.tiles import draw_strip, visible
from shearbench.predictions.evaluated import EvaluatedRun, EvaluatedRuns
from shearbench.predictions.scores import BySample, rates, share_with_interval
from shearbench.statistics.paired import mcnemar_p
from shearbench.statistics.verdict import holm

ROUND = (3, 5, 8)
"""The digits with the most errors, according to the study of Mechanical MNIST."""
TOGETHER = " ".join(DIGITS[digit] for digit in ROUND)
_ACROSS = 3
_COLUMNS = (
    *("model", "dataset", "true", "predicted", "n", "count", "rate", "rate_low", "rate_high"),
    *("reference_count", "change", "p", "p_holm"),
)


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
    models, colour = evaluated.models, canvas.colours(evaluated.datasets, canvas.OF_DATASETS)
    together = shares[shares["classes"] == TOGETHER]
    below = 0.6 + 0.3 * len(evaluated.runs) if len(together) else 0.01
    made = canvas.figure(3.1 * len(models) + 0.8, (4.0 if len(together) else 3.4) + 0.34 * len(evaluated.runs))
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
    canvas.headed(made, "Cross-validated error by class", first.get_legend_handles_labels()[0])
    return made


def _rates(axes: Axes, rows: pd.DataFrame, colour: dict[str, str]) -> None:
    for place, (name, shade) in enumerate(colour.items()):
        part = rows[rows["dataset"] == name]
        shift = 0.5 * ((place + 0.5) / len(colour) - 0.5)
        values = 100 * part["rate"]
        reach = [values - 100 * part["rate_low"], 100 * part["rate_high"] - values]
        axes.errorbar(np.arange(len(part)) + shift, values, reach, fmt="o", ms=4, lw=1, color=shade, label=name)
    canvas.plain(axes)
    canvas.class_ticks(axes.xaxis, list(rows["classes"].drop_duplicates()))
    axes.set_xlabel("true class")


def _shares(axes: Axes, rows: pd.DataFrame, colour: dict[str, str]) -> None:
    for place, (_, row) in enumerate(rows.iterrows()):
        ends = [100 * row["share_low"], 100 * row["share_high"]]
        axes.plot(ends, [place, place], color=colour[row["dataset"]], lw=1.4)
        axes.plot(100 * row["share"], place, "o", ms=6, color=colour[row["dataset"]])
        axes.plot(2 * [100 * row["share_of_samples"]], [place - 0.4, place + 0.4], color=canvas.GREY, lw=1.4, ls=":")
    names = [f"{row['model']} on {row['dataset']} ({row['all_errors']:.0f} errors)" for _, row in rows.iterrows()]
    canvas.plain(axes)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    samples = f"{', '.join(str(digit) for digit in ROUND[:-1])} and {ROUND[-1]}"
    text = f"share of the errors on digits {samples} (%), 95 % interval\ndotted: their share of the digits"
    axes.set_xlabel(text)


def confusion(evaluated: EvaluatedRuns) -> Files:
    """Return the table of confused pairs, and for each model a figure of its errors on every dataset."""
    pairs = [row for model in evaluated.models for run in evaluated.of_model(model) for row in pairs_of(run, evaluated)]
    drawn: dict[str, Writer] = {
        f"figures/confusion_{model}{name}.png": picture(confusion_figure(model, part.of_model(model), part))
        for name, part in evaluated.by_source().items()
        for model in part.models
    }
    return {"confused_pairs.csv": table(pd.DataFrame(pairs, columns=_COLUMNS)), **drawn}


def pairs_of(run: EvaluatedRun, evaluated: EvaluatedRuns) -> list[dict[str, Any]]:
    """Return a row for each pair of classes that are confused on this dataset or on the reference, the most frequent
    first.

    Columns: ``model, dataset``; ``true`` class and ``predicted`` class; ``n`` samples of the true class; ``count`` of
    these predictions, and ``rate`` = count / n with Wilson's 95 % interval; ``reference_count`` of the same model on
    the reference dataset and ``change`` from it; ``p`` of no change, McNemar's on the samples of the true class, and
    ``p_holm``, adjusted for all pairs of the run. The last four are empty for the reference, and if it was not
    evaluated or has other samples.
    """
    reference = evaluated.reference(run.dataset)
    of_reference = [one.out_of_fold for one in evaluated.of_model(run.model) if one.dataset == reference != run.dataset]
    same = [found for found in of_reference if np.array_equal(found.ids, run.out_of_fold.ids)]
    other = same[0] if same else None
    rows = list(_rows(run.out_of_fold, other, run.record["classes"]))
    if other is not None:
        adjusted = holm([row["p"] for row in rows])
        rows = [{**row, "p_holm": p} for row, p in zip(rows, adjusted, strict=True)]
    named = [{"model": run.model, "dataset": run.dataset, **row} for row in rows]
    return sorted(named, key=lambda row: (-max(row["count"], row.get("reference_count", 0)), -row["count"]))


def _rows(predictions: BySample, other: BySample | None, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    counts = mean_counts(predictions)
    before = np.zeros_like(counts) if other is None else mean_counts(other)
    off_diagonal = ~np.eye(len(counts), dtype=bool)
    for true, predicted in np.argwhere((counts + before > 0) & off_diagonal).tolist():
        of_class = predictions.labels == true
        n, count = int(of_class.sum()), float(counts[true, predicted])
        row: dict[str, Any] = {"true": names[true], "predicted": names[predicted], "n": n, "count": count}
        row |= share_with_interval("rate", count, n)
        if other is not None:
            here, there = (each.classes[:, of_class] == predicted for each in (predictions, other))
            row["reference_count"] = float(before[true, predicted])
            row |= {"change": count - row["reference_count"], "p": mcnemar_p(here, there)}
        yield row


def mean_counts(predictions: BySample) -> NDArray[np.float64]:
    """Return (true, predicted) counts of samples, the mean over the networks that predict each."""
    counts, classes = np.zeros((predictions.probabilities.shape[2],) * 2), predictions.classes
    np.add.at(counts, (np.broadcast_to(predictions.labels, classes.shape), classes), 1)
    return counts / len(classes)


def confusion_figure(model: str, runs: Sequence[EvaluatedRun], evaluated: EvaluatedRuns) -> Figure:
    """Draw the errors of a model on each dataset, on one scale, and the change of each count from the reference."""
    counts = {run.dataset: mean_counts(run.out_of_fold) for run in runs}
    classes, reference = runs[0].record["classes"], evaluated.reference(runs[0].dataset)
    others = [name for name in counts if reference in counts and name != reference]
    changes = {name: counts[name] - counts[reference] for name in others}
    drawn = len(counts) + len(changes)
    across, down = min(_ACROSS, drawn), -(-drawn // min(_ACROSS, drawn))
    made = canvas.figure(4.1 * across, 4.4 * down + 0.5)
    panels = list(made.subplots(down, across, squeeze=False).flat)
    most_rate = max(float(_errors(rates(each)).max()) for each in counts.values()) or 1.0
    most_change = max((float(np.abs(_errors(each)).max()) for each in changes.values()), default=0.0) or 1.0
    for axes, (name, each) in zip(panels, counts.items(), strict=False):
        axes.imshow(_errors(rates(each)), cmap="Oranges", vmin=0, vmax=most_rate)
        wrong, n = float(_errors(each).sum()), float(each.sum())
        title = f"{name}: {_number(wrong)} of {n:,.0f} misclassified"
        _label(axes, each, title, classes, most_rate * each.sum(axis=1), signed=False)
    for axes, (name, each) in zip(panels[len(counts) :], changes.items(), strict=False):
        axes.imshow(_errors(each), cmap="PuOr_r", vmin=-most_change, vmax=most_change)
        title = f"{name} - {reference}: change in samples"
        _label(axes, each, title, classes, np.full(len(each), most_change), signed=True)
    for axes in panels[drawn:]:
        axes.set_axis_off()
    text = f"{model}: samples misclassified out of fold\ncolour: share of the true class, up to {100 * most_rate:.1f} %"
    made.suptitle(text, fontsize=11)
    return made


def _errors(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix with a zero diagonal, because its large values hide all others."""
    return np.where(np.eye(len(matrix), dtype=bool), 0.0, matrix)


def _label(
    axes: Axes,
    values: NDArray[np.float64],
    title: str,
    classes: Sequence[str],
    full: NDArray[np.float64],
    *,
    signed: bool,
) -> None:
    """Write the counts, in white on dark tiles: above 60 % of ``full``, the value of the darkest colour in each row."""
    for true, predicted in np.argwhere(values != 0) if len(values) <= canvas.LABELLED else ():
        value = values[true, predicted]
        size, colour = 8, "white" if abs(value) > 0.6 * full[true] else "black"
        if true == predicted:
            size, colour = 7, "0.55"
        text = _number(value, signed=signed)
        axes.text(predicted, true, text, ha="center", va="center", fontsize=size, color=colour)
    axes.set_title(title, fontsize=10)
    canvas.class_ticks(axes.xaxis, classes)
    canvas.class_ticks(axes.yaxis, classes)
    axes.set_xlabel("predicted as")
    axes.set_ylabel("true class")


def _number(value: float, *, signed: bool = False) -> str:
    """Return a count as text; a mean over repeats that is no integer has one decimal."""
    text = f"{value:+.1f}" if signed else f"{value:.1f}"
    return text.removesuffix(".0").replace("-", "\N{MINUS SIGN}")


_SUSPECTS_ACROSS, _SUSPECTS_DOWN = 12, 2


def suspicious(evaluated: EvaluatedRuns) -> Files:
    """Return the suspected labels of all runs, and one figure per source."""
    files: dict[str, Writer] = {"suspicious_labels.csv": table(suspects(evaluated))}
    for name, part in evaluated.by_source().items():
        files[f"figures/suspicious_labels{name}.png"] = picture(suspects_figure(part, suspects(part)))
    return files


def suspects(evaluated: EvaluatedRuns) -> pd.DataFrame:
    """Return one row per sample and suggested class, those of the most runs first.

    Columns: ``id, label, suggested``; ``runs``, the number that suggest it; ``of``, the number of all runs; the mean
    ``confidence`` of those that suggest it, and their names, ``by``.
    """
    named = [run.table("suspicious_labels.csv").assign(by=run.name) for run in evaluated.runs]
    groups = pd.concat(named, ignore_index=True).groupby(["id", "label", "suggested"])
    found = groups.agg(runs=("by", "size"), confidence=("confidence", "mean"), by=("by", " ".join)).reset_index()
    found.insert(4, "of", len(evaluated.runs))
    return found.sort_values(["runs", "confidence", "id"], ascending=[False, False, True], ignore_index=True)


def suspects_figure(evaluated: EvaluatedRuns, found: pd.DataFrame) -> Figure:
    """Draw the samples that the most runs suspect, with label and suggested class."""
    shown = found.head(_SUSPECTS_ACROSS * _SUSPECTS_DOWN)
    samples = evaluated.samples("train", evaluated.datasets[0])  # the runs are of one source
    places = pd.Index(samples.ids).get_indexer(pd.Index(shown["id"]))
    pictures = visible(samples.images[places])
    made = canvas.figure(0.85 * _SUSPECTS_ACROSS + 1.0, 1.35 * _SUSPECTS_DOWN + 0.6)
    for strip, axes in enumerate(made.subplots(_SUSPECTS_DOWN, 1)):
        of_strip = slice(strip * _SUSPECTS_ACROSS, (strip + 1) * _SUSPECTS_ACROSS)
        notes = [
            f"{canvas.two_names(str(row.label), ', or', str(row.suggested))}?\n{row.runs} of {row.of} runs"
            for row in shown.iloc[of_strip].itertuples()
        ]
        draw_strip(axes, pictures[of_strip], IN_GREY, _SUSPECTS_ACROSS, notes)
    text = f"{found['id'].nunique()} training samples with another class more probable than usual for that class"
    made.suptitle(text, fontsize=11)
    return made

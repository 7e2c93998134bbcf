"""Explore a dataset: samples, classes, duplicates and displacements as tables and figures."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.analysis.displacement.measures import class_means, gradient_norm, length, measures
from shearbench.analysis.exploration import figure as figures
from shearbench.data import duplicates
from shearbench.data.config import FieldDataset
from shearbench.data.dataset import Dataset
from shearbench.data.folds import FoldTable
from shearbench.plotting.class_axis import shortened
from shearbench.plotting.tiles import DISTURBANCE_X, DISTURBANCE_Y, GRADIENT, GREY, LENGTH, U_X, U_Y, visible

PER_CLASS = 8


MOST_PAIRS = 12


def image_figures(dataset: Dataset) -> Iterator[tuple[str, Figure]]:
    """Yield the sample sheet of a dataset of images: (file, figure)."""
    sheet = pick(visible(dataset.inputs), dataset)
    yield "samples.png", figures.sample_sheet(sheet, quantity=GREY, classes=dataset.classes, title=dataset.name)


def field_figures(entry: FieldDataset, dataset: Dataset, images: NDArray[np.uint8]) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of a dataset of displacement fields: (file, figure)."""
    name = f"{dataset.name}: {entry.load}, step {entry.step}"
    fields = dataset.inputs.astype(np.float32)
    components = {
        "u_x": (U_X, fields[:, 0]),
        "u_y": (U_Y, fields[:, 1]),
        "length": (LENGTH, np.hypot(fields[:, 0], fields[:, 1])),
    }
    for part, (quantity, values) in components.items():
        sheet = pick(values, dataset)
        yield f"samples_{part}.png", figures.sample_sheet(sheet, quantity=quantity, classes=dataset.classes, title=name)
    labels, rows = np.unique(dataset.labels, return_index=True)
    figure = figures.displacement(
        images[rows], fields[rows], labels=[dataset.classes[label] for label in labels], title=name
    )
    yield "displacement.png", figure


def class_figure(entry: FieldDataset, dataset: Dataset, block: NDArray[np.float64]) -> Figure:
    """Return the figure of the mean fields of each class; ``block`` (2, h, w) is the field without an image."""
    fields, labels = dataset.inputs.astype(np.float64), dataset.labels
    drawn = {
        U_X: fields[:, 0],
        U_Y: fields[:, 1],
        LENGTH: length(fields),
        GRADIENT: gradient_norm(fields),
        DISTURBANCE_X: fields[:, 0] - block[0],
        DISTURBANCE_Y: fields[:, 1] - block[1],
    }
    means = {quantity: class_means(values, labels, len(dataset.classes)) for quantity, values in drawn.items()}
    name = f"{dataset.name}: {entry.load}, step {entry.step}; mean over the samples of a class, $u^0$ without a digit"
    counts = np.bincount(labels, minlength=len(dataset.classes)).tolist()
    return figures.mean_fields(means, counts=counts, classes=dataset.classes, title=name)


def displacement_frame(dataset: Dataset, images: NDArray[np.uint8], block: NDArray[np.float64]) -> pd.DataFrame:
    """Return mean and standard deviation over the samples of each class of every measure of displacement.

    Columns: ``class, n``, and ``..._mean, ..._sd`` of each of
    :func:`~shearbench.analysis.displacement.measures.measures`.
    """
    found = pd.DataFrame(measures(dataset.inputs.astype(np.float64), images, block))
    groups = found.groupby(dataset.labels)
    both = pd.concat([groups.mean().add_suffix("_mean"), groups.std().add_suffix("_sd")], axis=1)
    moments = both[[f"{name}_{part}" for name in found.columns for part in ("mean", "sd")]]
    moments.insert(0, "n", groups.size())
    moments.index = pd.Index([dataset.classes[label] for label in moments.index])
    return moments.rename_axis("class").reset_index()


def pick(values: NDArray[Any], dataset: Dataset) -> NDArray[np.float32]:
    """Return the first ``values`` (n, ...) of each class, (classes, ``PER_CLASS``, ...); NaN where it has fewer."""
    sheet = np.full((min(len(dataset.classes), figures.SHOWN), PER_CLASS, *values.shape[1:]), np.nan, np.float32)
    for label in range(len(sheet)):
        rows = np.flatnonzero(dataset.labels == label)[:PER_CLASS]
        sheet[label, : len(rows)] = values[rows]
    return sheet


def class_counts(dataset: Dataset, table: FoldTable) -> NDArray[np.int64]:
    """Count the samples of each class that each fold holds out, (folds, classes)."""
    held_out = [dataset.labels[table.split(number)[1]] for number in table.numbers]
    return np.array([np.bincount(each, minlength=len(dataset.classes)) for each in held_out])


def duplicate_frame(dataset: Dataset, table: FoldTable, *, near: float) -> pd.DataFrame:
    """Return one row per pair of similar samples, with their classes and their folds in the first repeat."""
    alike = duplicates.find(dataset.inputs, near=near)
    rows = np.array([(pair.first, pair.second) for pair in alike], np.int64).reshape(-1, 2)
    columns: dict[str, Any] = {"kind": ["exact" if pair.exact else "near" for pair in alike]}
    for end, which in zip("ab", rows.T, strict=True):
        columns |= {
            f"id_{end}": dataset.ids[which],
            f"class_{end}": np.array(dataset.classes)[dataset.labels[which]],
            f"fold_{end}": table.folds[0, which],
        }
    columns["correlation"] = [pair.correlation for pair in alike]
    frame = pd.DataFrame(columns)
    return frame.assign(across_folds=frame["fold_a"] != frame["fold_b"])


def alike_figure(dataset: Dataset, images: NDArray[np.uint8], alike: pd.DataFrame) -> Figure:
    """Return the figure of the most similar pairs, as the images that the samples were made from."""
    shown = alike.sort_values("correlation", ascending=False, kind="stable").head(MOST_PAIRS)
    places = {int(number): row for row, number in enumerate(dataset.ids)}
    ends = [visible(images[[places[number] for number in shown[f"id_{end}"]]]) for end in "ab"]
    notes = [
        f"{shortened(str(row.class_a))} and {shortened(str(row.class_b))}\n{row.correlation:.4f}\n"
        f"folds {row.fold_a}, {row.fold_b}"
        for row in shown.itertuples()
    ]
    title = f"{dataset.name}: the {len(shown)} most alike of {len(alike)} pairs; classes, correlation, folds"
    return figures.alike(ends[0], ends[1], notes=notes, title=title)


def summary(dataset: Dataset, alike: pd.DataFrame, *, near: float) -> dict[str, Any]:
    """Return the content of ``summary.json``: numbers of samples, classes and duplicates."""
    kinds: dict[str, dict[str, float]] = {
        kind: {"pairs": len(pairs), "across_folds": int(pairs["across_folds"].sum())}
        for kind in ("exact", "near")
        for pairs in [alike[alike["kind"] == kind]]
    }
    per_class = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    kinds["near"]["least_correlation"] = near
    classes = list(dataset.classes)
    return {"samples": len(dataset.ids), "classes": classes, "per_class": per_class, "duplicates": kinds}


def balance_frame(counts: NDArray[np.int64], classes: Sequence[str]) -> pd.DataFrame:
    fold, label = np.indices(counts.shape)
    return pd.DataFrame({"fold": fold.ravel(), "class": np.array(classes)[label.ravel()], "n": counts.ravel()})

"""Explore a dataset: samples, classes, duplicates and displacements as tables and figures."""

from collections.abc import Iterator
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
from shearbench.plotting.canvas import two_names
from shearbench.plotting.files import Writer, numbers, picture, table
from shearbench.plotting.tiles import DISTURBANCE_X, DISTURBANCE_Y, GRADIENT, GREY, LENGTH, U_X, U_Y, visible

PER_CLASS = 8
_MOST_PAIRS = 12


def explored(dataset: Dataset, images: NDArray[np.uint8], folds: FoldTable, *, near: float) -> dict[str, Writer]:
    """Return the files on classes and duplicates: name -> writer.

    ``images``, (n, h, w) or (n, channels, h, w), are those that the samples were made from; ``near`` is the least
    correlation of near-duplicates.
    """
    balance, classes = class_counts(dataset, folds), dataset.classes
    first = balance[: folds.count]  # all repeats are equally balanced
    fold, label = np.indices(balance.shape)
    counts = pd.DataFrame({"fold": fold.ravel(), "class": np.array(classes)[label.ravel()], "n": balance.ravel()})
    alike = _duplicates(dataset, folds, near)
    drawn = figures.class_balance(first, classes=classes, title=f"{dataset.name}: samples held out")
    files = {
        "class_balance.png": picture(drawn),
        "class_balance.csv": table(counts),
        "duplicates.csv": table(alike),
        "summary.json": numbers(_summary(dataset, alike, near)),
    }
    return files | ({"duplicates.png": picture(_alike(dataset, images, alike))} if len(alike) else {})


def explored_images(dataset: Dataset) -> dict[str, Writer]:
    """Return the sample sheet of a dataset of images: name -> writer."""
    sheet = pick(visible(dataset.inputs), dataset)
    figure = figures.sample_sheet(sheet, quantity=GREY, classes=dataset.classes, title=dataset.name)
    return {"samples.png": picture(figure)}


def explored_fields(
    entry: FieldDataset, dataset: Dataset, images: NDArray[np.uint8], block: NDArray[np.float64]
) -> Iterator[tuple[str, Writer]]:
    """Yield the files on displacement fields: (name, writer); ``block`` (2, h, w) is the field without an image."""
    name, classes = f"{dataset.name}: {entry.load}, step {entry.step}", dataset.classes
    fields = dataset.inputs.astype(np.float32)
    x, y = fields[:, 0], fields[:, 1]
    for part, quantity, values in (("u_x", U_X, x), ("u_y", U_Y, y), ("length", LENGTH, np.hypot(x, y))):
        sheet = figures.sample_sheet(pick(values, dataset), quantity=quantity, classes=classes, title=name)
        yield f"samples_{part}.png", picture(sheet)
    labels, rows = np.unique(dataset.labels, return_index=True)
    shown = [classes[label] for label in labels]
    yield "displacement.png", picture(figures.displacement(images[rows], fields[rows], labels=shown, title=name))
    yield "displacement_classes.png", picture(_class_means(dataset, block, name))
    yield "displacement.csv", table(_displacement(dataset, images, block))


def _class_means(dataset: Dataset, block: NDArray[np.float64], name: str) -> Figure:
    fields, labels, classes = dataset.inputs.astype(np.float64), dataset.labels, dataset.classes
    drawn = {
        U_X: fields[:, 0],
        U_Y: fields[:, 1],
        LENGTH: length(fields),
        GRADIENT: gradient_norm(fields),
        DISTURBANCE_X: fields[:, 0] - block[0],
        DISTURBANCE_Y: fields[:, 1] - block[1],
    }
    means = {quantity: class_means(values, labels, len(classes)) for quantity, values in drawn.items()}
    title = f"{name}; mean over the samples of a class, $u^0$ without a digit"
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return figures.mean_fields(means, counts=counts, classes=classes, title=title)


def _displacement(dataset: Dataset, images: NDArray[np.uint8], block: NDArray[np.float64]) -> pd.DataFrame:
    """Return mean and standard deviation of every measure of displacement over the samples of each class."""
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


def class_counts(dataset: Dataset, folds: FoldTable) -> NDArray[np.int64]:
    """Count the samples of each class that each fold holds out, (folds, classes)."""
    held_out = [dataset.labels[folds.split(number)[1]] for number in folds.numbers]
    return np.array([np.bincount(each, minlength=len(dataset.classes)) for each in held_out])


def _duplicates(dataset: Dataset, folds: FoldTable, near: float) -> pd.DataFrame:
    """Return one row per pair of similar samples, with their classes and their folds in the first repeat."""
    alike = duplicates.find(dataset.inputs, near=near)
    rows = np.array([(pair.first, pair.second) for pair in alike], np.int64).reshape(-1, 2)
    columns: dict[str, Any] = {"kind": ["exact" if pair.exact else "near" for pair in alike]}
    for end, which in zip("ab", rows.T, strict=True):
        columns |= {
            f"id_{end}": dataset.ids[which],
            f"class_{end}": np.array(dataset.classes)[dataset.labels[which]],
            f"fold_{end}": folds.folds[0, which],
        }
    columns["correlation"] = [pair.correlation for pair in alike]
    frame = pd.DataFrame(columns)
    return frame.assign(across_folds=frame["fold_a"] != frame["fold_b"])


def _alike(dataset: Dataset, images: NDArray[np.uint8], alike: pd.DataFrame) -> Figure:
    """Return the figure of the most similar pairs, as the images that the samples were made from."""
    shown = alike.sort_values("correlation", ascending=False, kind="stable").head(_MOST_PAIRS)
    places = pd.Index(dataset.ids)
    first, second = (visible(images[places.get_indexer(pd.Index(shown[f"id_{end}"]))]) for end in "ab")
    notes = [
        f"{two_names(str(row.class_a), ' and', str(row.class_b))}\n{row.correlation:.4f}\n"
        f"folds {row.fold_a}, {row.fold_b}"
        for row in shown.itertuples()
    ]
    title = f"{dataset.name}: the {len(shown)} most alike of {len(alike)} pairs; classes, correlation, folds"
    return figures.alike(first, second, notes=notes, title=title)


def _summary(dataset: Dataset, alike: pd.DataFrame, near: float) -> dict[str, Any]:
    kinds: dict[str, dict[str, float]] = {}
    for kind in ("exact", "near"):
        pairs = alike[alike["kind"] == kind]
        kinds[kind] = {"pairs": len(pairs), "across_folds": int(pairs["across_folds"].sum())}
    kinds["near"]["least_correlation"] = near
    per_class = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    classes = list(dataset.classes)
    return {"samples": len(dataset.ids), "classes": classes, "per_class": per_class, "duplicates": kinds}

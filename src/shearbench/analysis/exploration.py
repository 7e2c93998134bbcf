"""Explore a dataset: samples, classes, duplicates and displacements as tables and figures.

Colours are safe for the colour-blind. Components of a displacement have a diverging scale centred on 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree

from shearbench.analysis.displacement.measures import class_means, gradient_norm, length, measures
from shearbench.data.config import FieldDataset
from shearbench.data.dataset import Dataset
from shearbench.data.folds import FoldTable
from shearbench.data.units import first_occurrences
from shearbench.plotting import canvas, tiles
from shearbench.plotting.files import Writer, numbers, picture, table

PER_CLASS = 8
SHOWN = 26
"""The most classes that a sheet shows."""
_MOST_PAIRS = 12
_TITLE = 10
NEAR_IMAGES, NEAR_FIELDS = 0.97, 0.995
"""Least correlation of near-duplicates.

Among 4,000 MNIST digits, 9 pairs reach it, all of them ones drawn upright. Displacement fields are smooth,
so any two fields are more alike than the digits they were made from.
"""

_COST = 3.0  # minus the correlation; stays above 0, because a sparse 0 means no link
_ROWS = 512  # rows of the correlation matrix at a time: 60,000 x 60,000 would not fit in memory


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
    drawn = class_balance(first, classes=classes, title=f"{dataset.name}: samples by fold")
    files = {
        "class_balance.png": picture(drawn),
        "class_balance.csv": table(counts),
        "duplicates.csv": table(alike),
        "summary.json": numbers(_summary(dataset, alike, near)),
    }
    return files | ({"duplicates.png": picture(_alike(dataset, images, alike))} if len(alike) else {})


def explored_images(dataset: Dataset) -> dict[str, Writer]:
    """Return the sample sheet of a dataset of images: name -> writer."""
    sheet = pick(tiles.visible(dataset.inputs), dataset)
    figure = sample_sheet(sheet, quantity=tiles.GREY, classes=dataset.classes, title=dataset.name)
    return {"samples.png": picture(figure)}


def explored_fields(
    entry: FieldDataset, dataset: Dataset, images: NDArray[np.uint8], block: NDArray[np.float64]
) -> Iterator[tuple[str, Writer]]:
    """Yield the files on displacement fields: (name, writer); ``block`` (2, h, w) is the field without an image."""
    name, classes = f"{dataset.name}: {entry.load}, step {entry.step}", dataset.classes
    fields = dataset.inputs.astype(np.float32)
    x, y = fields[:, 0], fields[:, 1]
    for part, quantity, values in (
        ("u_x", tiles.U_X, x),
        ("u_y", tiles.U_Y, y),
        ("length", tiles.LENGTH, np.hypot(x, y)),
    ):
        sheet = sample_sheet(pick(values, dataset), quantity=quantity, classes=classes, title=name)
        yield f"samples_{part}.png", picture(sheet)
    labels, rows = np.unique(dataset.labels, return_index=True)
    shown = [classes[label] for label in labels]
    yield "displacement.png", picture(displacement_figure(images[rows], fields[rows], labels=shown, title=name))
    yield "displacement_classes.png", picture(_class_means(dataset, block, name))
    yield "displacement.csv", table(_displacement(dataset, images, block))


def _class_means(dataset: Dataset, block: NDArray[np.float64], name: str) -> Figure:
    fields, labels, classes = dataset.inputs.astype(np.float64), dataset.labels, dataset.classes
    drawn = {
        tiles.U_X: fields[:, 0],
        tiles.U_Y: fields[:, 1],
        tiles.LENGTH: length(fields),
        tiles.GRADIENT: gradient_norm(fields),
        tiles.DISTURBANCE_X: fields[:, 0] - block[0],
        tiles.DISTURBANCE_Y: fields[:, 1] - block[1],
    }
    means = {quantity: class_means(values, labels, len(classes)) for quantity, values in drawn.items()}
    title = f"{name}; mean over the samples of a class, $u^0$ without a digit"
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return mean_fields(means, counts=counts, classes=classes, title=title)


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
    sheet = np.full((min(len(dataset.classes), SHOWN), PER_CLASS, *values.shape[1:]), np.nan, np.float32)
    for label in range(len(sheet)):
        rows = np.flatnonzero(dataset.labels == label)[:PER_CLASS]
        sheet[label, : len(rows)] = values[rows]
    return sheet


def class_counts(dataset: Dataset, folds: FoldTable) -> NDArray[np.int64]:
    """Count the samples of each class in each fold, (folds, classes)."""
    of_fold = [dataset.labels[folds.split(number, "rest")[1]] for number in folds.numbers]
    return np.array([np.bincount(each, minlength=len(dataset.classes)) for each in of_fold])


def _duplicates(dataset: Dataset, folds: FoldTable, near: float) -> pd.DataFrame:
    """Return one row per pair of similar samples, with their classes and their folds in the first repeat."""
    alike = find_duplicates(dataset.inputs, near=near)
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
    first, second = (tiles.visible(images[places.get_indexer(pd.Index(shown[f"id_{end}"]))]) for end in "ab")
    notes = [
        f"{canvas.two_names(str(row.class_a), ' and', str(row.class_b))}\n{row.correlation:.4f}\n"
        f"folds {row.fold_a}, {row.fold_b}"
        for row in shown.itertuples()
    ]
    title = f"{dataset.name}: the {len(shown)} most alike of {len(alike)} pairs; classes, correlation, folds"
    return pairs_figure(first, second, notes=notes, title=title)


def _summary(dataset: Dataset, alike: pd.DataFrame, near: float) -> dict[str, Any]:
    kinds: dict[str, dict[str, float]] = {}
    for kind in ("exact", "near"):
        pairs = alike[alike["kind"] == kind]
        kinds[kind] = {"pairs": len(pairs), "across_folds": int(pairs["across_folds"].sum())}
    kinds["near"]["least_correlation"] = near
    per_class = np.bincount(dataset.labels, minlength=len(dataset.classes)).tolist()
    classes = list(dataset.classes)
    return {"samples": len(dataset.ids), "classes": classes, "per_class": per_class, "duplicates": kinds}


def sample_sheet(samples: NDArray[Any], *, quantity: tiles.Quantity, classes: Sequence[str], title: str) -> Figure:
    """Draw samples (classes, per class, h, w), or (..., 3) in colour, on one scale; NaN where there are too few."""
    rows, columns = samples[:SHOWN].shape[:2]
    figure = canvas.figure(0.55 * columns + 1.7, 0.55 * rows + 0.4)
    axis = figure.subplots()
    tiles.draw_tiles(axis, samples[:SHOWN], quantity)
    axis.set_yticks(tiles.centres(rows), list(map(canvas.shortened, classes[:SHOWN])))
    axis.set_ylabel("class", fontsize=tiles.SMALL)
    axis.set_title(title + _part(classes), fontsize=_TITLE)
    return figure


def class_balance(counts: NDArray[np.int64], *, classes: Sequence[str], title: str) -> Figure:
    """Draw the number of held-out samples of each fold and class, ``counts`` (folds, classes)."""
    folds = len(counts)
    figure = canvas.figure(0.62 * min(len(classes), 2 * canvas.LABELLED) + 1.2, 0.36 * folds + 1.1)
    axis = figure.subplots()
    axis.imshow(counts, cmap="Blues", vmin=0, vmax=2 * max(1, int(counts.max())), aspect="auto")
    for fold, label in np.ndindex(*counts.shape) if len(classes) <= 2 * canvas.LABELLED else ():
        axis.text(label, fold, str(counts[fold, label]), ha="center", va="center", fontsize=tiles.SMALL, color="black")
    canvas.class_ticks(axis.xaxis, classes)
    axis.set_yticks(range(folds))
    axis.set_xlabel("class")
    axis.set_ylabel("fold")
    axis.set_title(title, fontsize=_TITLE)
    return figure


def displacement_figure(
    images: NDArray[np.uint8], fields: NDArray[np.float32], *, labels: Sequence[str], title: str
) -> Figure:
    """Draw images (n, h, w) above their displacement (n, 2, h, w) in pixels: u_x, u_y and length, one scale per row."""
    x, y = fields[:, 0], fields[:, 1]
    rows: list[tuple[tiles.Quantity, NDArray[Any]]] = [
        (tiles.GREY, images),
        (tiles.U_X, x),
        (tiles.U_Y, y),
        (tiles.LENGTH, np.hypot(x, y)),
    ]
    shown = [(quantity, pictures[None, :SHOWN]) for quantity, pictures in rows]
    names = list(map(canvas.shortened, labels[:SHOWN]))
    return _columns(canvas.figure(0.85 * len(names) + 1.3, 4.2), shown, names, title + _part(labels))


def mean_fields(
    means: Mapping[tiles.Quantity, NDArray[np.float64]], *, counts: Sequence[int], classes: Sequence[str], title: str
) -> Figure:
    """Draw the mean fields of each class (classes, h, w), one row and scale per quantity; NaN without a sample."""
    shown = [(quantity, fields[None, :SHOWN]) for quantity, fields in means.items()]
    names = [f"{canvas.shortened(name)}\nn = {n}" for name, n in zip(classes[:SHOWN], counts[:SHOWN], strict=True)]
    figure = canvas.figure(0.85 * len(names) + 1.3, 1.02 * len(shown) + 0.7)
    return _columns(figure, shown, names, title + _part(classes))


def pairs_figure(first: NDArray[np.uint8], second: NDArray[np.uint8], *, notes: Sequence[str], title: str) -> Figure:
    """Draw pairs of samples (n, h, w), or (n, h, w, 3) in colour, one below the other, with a note above each pair."""
    figure = canvas.figure(0.85 * max(4, len(notes)) + 1.0, 2.7)
    return _columns(figure, [(tiles.GREY, np.stack([first, second]))], notes, title)


def _columns(
    figure: Figure, rows: Sequence[tuple[tiles.Quantity, NDArray[Any]]], names: Sequence[str], title: str
) -> Figure:
    """Draw tiles (lines, columns, h, w) of each quantity in axes of its own; name the columns above the first."""
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, (quantity, pictures) in zip(axes, rows, strict=True):
        tiles.draw_tiles(axis, pictures, quantity)
        axis.set_yticks([])
    axes[0].xaxis.tick_top()
    axes[0].set_xticks(tiles.centres(len(names)), names, fontsize=tiles.SMALL)
    figure.suptitle(title, fontsize=_TITLE)
    return figure


def _part(classes: Sequence[str]) -> str:
    return f" (the first {SHOWN} of {len(classes)} classes)" if len(classes) > SHOWN else ""


@dataclass(frozen=True)
class Alike:
    """Two rows of a dataset, ``first < second``, and their correlation about the mean sample; 1 if exact copies."""

    first: int
    second: int
    exact: bool
    correlation: float


def find_duplicates(inputs: NDArray[Any], *, near: float) -> list[Alike]:
    """Return pairs of duplicate rows: copies with their first occurrence, then near-duplicates.

    Near-duplicates are distinct samples that correlate by at least ``near``. The correlation is the cosine of the
    angle between two samples after the mean sample is subtracted from each, rounded to 4 places. A group of m
    near-duplicates gives m - 1 pairs, those of its maximum spanning tree.

    ``inputs`` are (n, channels, height, width), of any numeric type; ``near`` is above 0.
    """
    first, of_row = first_occurrences(inputs)
    origins = first[of_row]
    copies = np.flatnonzero(origins != np.arange(len(inputs)))
    exact = [Alike(int(origins[row]), int(row), True, 1.0) for row in copies]
    return exact + [
        Alike(int(first[i]), int(first[j]), False, round(float(correlation), 4))
        for i, j, correlation in zip(*_linked(inputs[first], near), strict=True)
    ]


def _linked(inputs: NDArray[Any], near: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return sorted rows i < j that link all rows that correlate by at least ``near``, and their correlations."""
    flat = inputs.reshape(len(inputs), -1).astype(np.float32)
    flat -= flat.mean(axis=0)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, 1)  # a sample equal to the mean sample correlates with none
    i, j = np.zeros((2, 0), np.int64)
    correlation = np.zeros(0)
    for start in range(0, len(flat), _ROWS):
        # Only columns from `start` on, because earlier blocks found the earlier pairs.
        block = flat[start : start + _ROWS] @ flat[start:].T  # (rows, from start on)
        down, along = np.nonzero(np.triu(block >= near, k=1))
        i, j = np.concatenate([i, down + start]), np.concatenate([j, along + start])
        correlation = np.concatenate([correlation, block[down, along]])
        # A spanning tree of least cost keeps the most alike pairs of each group.
        costs = coo_array((_COST - correlation, (i, j)), shape=(len(flat), len(flat)))
        tree = minimum_spanning_tree(costs.tocsr()).tocoo()  # reduced after each block: at most n - 1 pairs
        i, j, correlation = tree.row.astype(np.int64), tree.col.astype(np.int64), _COST - tree.data
    order = np.lexsort((j, i))
    return i[order], j[order], correlation[order]

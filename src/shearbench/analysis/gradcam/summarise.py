"""Summarise the Grad-CAM or saliency maps of a run's networks: the arrays, a figure, and measures of the maps.

The value of a measure for a sample is the mean over the networks. The interval is for other samples. The chance value
uses noise maps at the resolution of the network's maps.
"""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.analysis.evaluation import Evaluation
from shearbench.analysis.gradcam.figure import notes_of, overlaid
from shearbench.plotting.canvas import shortened
from shearbench.plotting.files import Files, arrays, picture, table
from shearbench.plotting.tiles import coloured, draw_coloured, sheet
from shearbench.predictions.scores import mean_of

STROKE = 127
"""Grey value above which a pixel of the image belongs to the stroke."""
_CURVES = ("deletion", "insertion", "random_deletion", "random_insertion")
Maps = NDArray[np.float32]
Values = NDArray[np.float64]
_SHOWN_FOLDS = 5
_LEGEND = (
    "Orange: the map, from 0 to its own maximum, over the size of the input in grey. Inputs are shown normalised,\n"
    "as the network sees them; fields are blue below the mean, red above, one scale a row, cut at the 99th percentile."
)


def attribution(evaluation: Evaluation) -> Files:
    """Return the maps of every fold, and the sheet of the first folds."""
    rows, seen = list(evaluation.explained), evaluation.stacked("gradcam", "seen")
    labels, maps = evaluation.test.labels[rows], evaluation.stacked("gradcam", "maps")
    stored = {"ids": evaluation.test.ids[rows], "labels": labels, "seen": seen, "maps": maps}
    return {"gradcam.npz": arrays(stored), "figures/gradcam.png": picture(_sheet(evaluation, seen[0], labels, maps))}


def _sheet(
    evaluation: Evaluation, inputs: NDArray[Any], labels: NDArray[np.int64], maps: NDArray[np.float32]
) -> Figure:
    """Draw a column for each sample: its channels, then for each fold its map over the sample."""
    classes, facts = evaluation.test.classes, evaluation.facts("gradcam")
    names = ["$u_x$", "$u_y$"] if evaluation.is_field else ["image"] * inputs.shape[1]
    tiles = [_shaded(inputs[:, channel]) for channel in range(inputs.shape[1])]
    notes = [[shortened(classes[label]) for label in labels], *([""] * len(labels) for _ in names[1:])]
    folds = list(zip(evaluation.fold_runs, evaluation.tested, maps, strict=True))
    for fold_run, predictions, own in folds[:_SHOWN_FOLDS]:
        names.append(f"fold {fold_run.fold}")
        tiles.append(overlaid(inputs, own))
        notes.append(notes_of(own, predictions.classes[list(evaluation.explained)], labels, classes))
    made = sheet(len(tiles), len(labels), beside=0.7, above=0.9)
    draw_coloured(made.subplots(), np.stack(tiles), names, notes)
    height, width = facts["resolution"]
    kinds = {
        "grad-cam": f"Grad-CAM of layer {facts['layer']}, map {height} x {width}",
        "saliency": "saliency, as there is no convolution",
    }
    made.suptitle(f"{evaluation.name}: evidence for the true class\n{kinds[facts['method']]}", fontsize=11)
    made.supxlabel(_LEGEND, fontsize=9)
    return made


def _shaded(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return one channel of each sample on one scale: grey from zero for an image, blue to red for a signed field."""
    if values.min() >= 0:
        return coloured(values, "gray_r", 0, float(values.max()))
    largest = float(np.percentile(np.abs(values), 99))
    return coloured(values, "RdBu_r", -largest, largest)


def explanation_tables(evaluation: Evaluation) -> Files:
    """Return two tables.

    ``explanation.csv``: ``measure, n, mean, low, high, network_sd, chance``, for ``deletion`` and ``insertion`` (area
    under the curve), ``entropy``, ``stroke`` and ``agreement``. ``explanation_curves.csv``: ``curve, share, n, mean,
    low, high``, the probability of the true class against the share of pixels replaced.

    An all-zero map has no value; ``n`` counts the samples with at least one value.
    """
    rows = evaluation.results[0].measured["explanation"].arrays["rows"]
    maps, random = evaluation.stacked("explanation", "maps"), evaluation.stacked("explanation", "random_maps")
    stroke, labels = stroke_of(evaluation.samples.images[rows]), evaluation.test.labels[rows]
    curves = {name: evaluation.stacked("explanation", name) for name in _CURVES}
    for name in ("deletion", "insertion"):
        curves[name] = np.where(maps.max(axis=(-2, -1))[:, :, np.newaxis] > 0, curves[name], np.nan)
    areas = {name: area(values) for name, values in curves.items()}
    both = mean_of(agreement(maps)) | {"network_sd": np.nan, "chance": disagreement(maps, labels)}
    measures = [
        _row("deletion", areas["deletion"], areas["random_deletion"]),
        _row("insertion", areas["insertion"], areas["random_insertion"]),
        _row("entropy", entropy(maps), entropy(random)),
        _row("stroke", share_within(maps, stroke), share_within(random, stroke)),
        {"measure": "agreement", **both},
    ]
    return {
        "explanation.csv": table(pd.DataFrame(measures)),
        "explanation_curves.csv": table(pd.DataFrame(_curve_rows(curves))),
    }


def stroke_of(images: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pixels of images (n, h, w) or (n, channels, h, w) are brighter than half of white, (n, h, w)."""
    bright = images if images.ndim == 3 else images.mean(axis=1)
    stroke: NDArray[np.bool_] = bright > (STROKE if images.dtype == np.uint8 else STROKE / 255)
    return stroke


def _row(measure: str, values: Values, chance: Values) -> dict[str, float | int | str]:
    """Return the row of a measure from values (networks, samples)."""
    spread = float(np.std(_mean(values, axis=1), ddof=1))
    return {"measure": measure, **mean_of(_mean(values, axis=0)), "network_sd": spread, "chance": float(chance.mean())}


def _curve_rows(curves: dict[str, Values]) -> list[dict[str, float | int | str]]:
    rows: list[dict[str, float | int | str]] = []
    for name, values in curves.items():
        for step, share in enumerate(np.linspace(0, 1, values.shape[-1])):
            rows.append({"curve": name, "share": float(share), **mean_of(_mean(values[:, :, step], axis=0))})
    return rows


def area(curves: Values) -> Values:
    """Return the area under curves (..., points) over a width of 1, by the trapezium rule: a mean probability."""
    areas: Values = np.trapezoid(curves, dx=1 / (curves.shape[-1] - 1), axis=-1)
    return areas


def entropy(maps: Maps) -> Values:
    """Return Shannon's entropy of maps (..., h, w) as distributions over the pixels, as a share of its maximum.

    It is 1 for a uniform map, 0 for a map of one pixel, and NaN for an all-zero map.
    """
    shares = _as_shares(maps)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    entropies: Values = -(shares * logs).sum(axis=(-2, -1)) / np.log(maps.shape[-2] * maps.shape[-1])
    return entropies


def share_within(maps: Maps, where: NDArray[np.bool_]) -> Values:
    """Return the share of each map (networks, m, h, w) on the pixels ``where`` (m, h, w)."""
    shares: Values = (_as_shares(maps) * where).sum(axis=(-2, -1))
    return shares


def agreement(maps: Maps) -> Values:
    """Return for each sample the mean correlation of its maps (networks, m, h, w) over all pairs of networks, (m,)."""
    standard = _standardised(maps)
    pairs = [(a * b).mean(axis=-1) for a, b in combinations(standard, 2)]
    return _mean(np.stack(pairs), axis=0)


def disagreement(maps: Maps, labels: NDArray[np.int64]) -> float:
    """Return the mean correlation of two networks' maps of samples of different classes: agreement by habit."""
    standard, other = _standardised(maps), labels[:, np.newaxis] != labels
    means = [(a @ b.T / a.shape[-1])[other] for a, b in combinations(standard, 2)]
    return float(np.nanmean(means)) if not np.isnan(means).all() else np.nan


def _as_shares(maps: Maps) -> Values:
    return _divided(maps.astype(np.float64), maps.sum(axis=(-2, -1), keepdims=True, dtype=np.float64))


def _standardised(maps: Maps) -> Values:
    """Return maps (networks, m, pixels) of mean 0 and deviation 1; NaN for a uniform map."""
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    return _divided(flat, flat.std(axis=-1, keepdims=True))


def _divided(values: Values, by: Values) -> Values:
    """Return values / by; NaN where ``by`` is zero."""
    quotient: Values = np.divide(values, by, out=np.full(values.shape, np.nan), where=by > 0)
    return quotient


def _mean(values: Values, axis: int) -> Values:
    """Return the mean over an axis without NaN; NaN if all values are NaN."""
    there = ~np.isnan(values)
    return _divided(np.where(there, values, 0.0).sum(axis=axis), there.sum(axis=axis))

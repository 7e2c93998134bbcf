"""Scores, confusion and predictions of a run's networks, out of fold and on the test set; its misclassified samples."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.canvas import figure, two_names
from shearbench.plotting.files import Files, arrays, numbers, picture, table
from shearbench.plotting.scores import confusion_figure
from shearbench.plotting.tiles import GREY, LENGTH, U_X, U_Y, Quantity, draw_strip, visible
from shearbench.predictions.folds import overlap_of
from shearbench.predictions.scores import (
    BySample,
    Scores,
    bootstrap_interval,
    counts_of,
    f1_interval,
    rates,
    share_interval,
)
from shearbench.seeds import generator_for
from shearbench.statistics.crossed import accuracy_interval, clusters_of
from shearbench.statistics.runs import sd_over_folds, split_variance

NAMED = ("accuracy", "loss", "macro_f1", "balanced_accuracy")
_OF_CLASS = {"precision": "precision", "recall": "recall", "f1": "f1", "loss": "class_loss"}
"""Scores of a class, and their fields of :class:`Scores`."""


def scoring(evaluation: Evaluation) -> Files:
    """Return metrics, scores of folds and classes, confusion matrices and the predictions of the test set."""
    scores, repeats, classes = evaluation.scores, evaluation.repeats, evaluation.test.classes
    recorded = [fold_run.record["metrics"] for fold_run in evaluation.fold_runs]
    found = metrics(scores, recorded, repeats=repeats)
    for split, (low, high) in intervals(evaluation).items():
        found[split] |= {"accuracy_low": low, "accuracy_high": high}
    found["out_of_fold"] |= spread(evaluation.by_sample["out_of_fold"])
    networks = {"out_of_fold": repeats, "test": len(evaluation.fold_runs)}
    counts = {split: total_confusion(folds) for split, folds in scores.items()}
    tested = evaluation.by_sample["test"]
    predictions: dict[str, NDArray[Any]] = {
        "ids": tested.ids,
        "labels": tested.labels,
        "probabilities": tested.probabilities,
    }
    return {
        "metrics.json": numbers(found),
        "fold_metrics.csv": table(fold_metrics(scores)),
        "per_class.csv": table(per_class(scores, evaluation.by_sample, classes, seed=evaluation.seed)),
        "confusion_out_of_fold.csv": table(confusion(scores["out_of_fold"], classes)),
        "confusion_test.csv": table(confusion(scores["test"], classes)),
        "test_predictions.npz": arrays(predictions),
        "figures/confusion.png": picture(confusion_figure(evaluation.name, counts, networks, classes)),
    }


def fold_metrics(scores: Mapping[str, Sequence[Scores]]) -> pd.DataFrame:
    """Return one row for each fold and split: ``fold, split, n`` and the scores of ``NAMED``."""
    rows = [
        {"fold": fold, "split": split, "n": one.n, **{name: getattr(one, name) for name in NAMED}}
        for split, folds in scores.items()
        for fold, one in enumerate(folds)
    ]
    return pd.DataFrame(rows)


def per_class(
    scores: Mapping[str, Sequence[Scores]], predictions: Mapping[str, BySample], classes: Sequence[str], *, seed: int
) -> pd.DataFrame:
    """Return one row for each split and class.

    Columns: ``split, class`` (its name); ``n``, samples of the class; ``predicted``, samples predicted as it, mean
    over the networks that predict each; then mean over folds of ``precision, recall, f1, loss``, their ``..._sd``, and
    ``..._low``, ``..._high``: 95 % intervals for the choice of the samples (:mod:`shearbench.predictions.scores`).
    """
    every = [(split, number) for split in scores for number in range(len(classes))]
    repeats = len(predictions["out_of_fold"].probabilities)
    rows = [_class_row(split, number, scores[split], predictions[split], repeats, seed) for split, number in every]
    return pd.DataFrame(rows).assign(**{"class": [classes[number] for _, number in every]})


def _class_row(
    split: str, label: int, folds: Sequence[Scores], predictions: BySample, repeats: int, seed: int
) -> dict[str, Any]:
    values = {name: [getattr(one, field)[label] for one in folds] for name, field in _OF_CLASS.items()}
    means = {name: float(np.mean(each)) for name, each in values.items()}
    counts = counts_of(predictions, label)
    rng = generator_for(seed, "bootstrap", "class loss", split, label)
    bounds = {
        "precision": share_interval(means["precision"], counts.predicted),
        "recall": share_interval(means["recall"], counts.true),
        "f1": f1_interval(means["f1"], counts.either),
        "loss": bootstrap_interval(predictions.losses[:, predictions.labels == label].mean(axis=0), rng),
    }
    return {
        "split": split,
        "class": label,
        "n": round(counts.true),
        "predicted": counts.predicted,
        **means,
        **{f"{name}_sd": sd_over_folds(values[name], repeats=repeats) for name in _OF_CLASS},
        **{f"{name}_{end}": bounds[name][place] for name in _OF_CLASS for place, end in enumerate(("low", "high"))},
    }


def confusion(folds: Sequence[Scores], classes: Sequence[str]) -> pd.DataFrame:
    """Return ``true, predicted, count, rate``: counts summed over the folds, rates within each true class."""
    counts, names = total_confusion(folds), np.array(classes)
    true, predicted = np.divmod(np.arange(counts.size), len(names))
    pairs = {"true": names[true], "predicted": names[predicted]}
    return pd.DataFrame({**pairs, "count": counts.ravel(), "rate": rates(counts).ravel()})


def total_confusion(folds: Sequence[Scores]) -> NDArray[np.int64]:
    """Return the (true, predicted) counts summed over the folds."""
    counts: NDArray[np.int64] = np.sum([one.confusion for one in folds], axis=0)
    return counts


def spread(out_of_fold: BySample) -> dict[str, float]:
    """Return the two parts of the standard deviation of a fold's accuracy; their squares add up to its square.

    ``accuracy_sd_data``: other held-out samples (an upper bound with one repeat). ``accuracy_sd_training``: another
    training, with other training samples and another seed.
    """
    assert out_of_fold.folds is not None
    split = split_variance(out_of_fold.correct, out_of_fold.folds)
    return {"accuracy_sd_data": sqrt(split.data), "accuracy_sd_training": sqrt(split.training)}


def metrics(
    scores: Mapping[str, Sequence[Scores]], recorded: Sequence[Mapping[str, float]], *, repeats: int
) -> dict[str, Any]:
    """Return the content of ``metrics.json`` without :func:`spread` and :func:`intervals`.

    ``scores`` are split -> one value per fold, repeat by repeat; ``recorded`` the ``metrics`` of the fold records, with
    the scores of the best weights on their training part.
    """
    result: dict[str, Any] = {split: _split_metrics(split, folds, repeats) for split, folds in scores.items()}
    result["train"] = {
        "folds": len(recorded),
        **_moments("accuracy", [one["train_accuracy"] for one in recorded], repeats),
        **_moments("loss", [one["train_loss"] for one in recorded], repeats),
    }
    return result


def intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    """Return split -> 95 % interval of the accuracy, for other samples and another training, clustered by groups."""
    correct, train = evaluation.by_sample["test"].correct.astype(np.float64), evaluation.train
    groups = dict(zip(train.ids.tolist(), train.groups.tolist(), strict=True))
    overlap, found = overlap_of(evaluation.fold_runs), {}
    for split, one in evaluation.by_sample.items():
        of_sample = evaluation.test.groups if split == "test" else np.array([groups[number] for number in one.ids])
        clusters = clusters_of(of_sample, one.ids)
        found[split] = accuracy_interval(one.correct.mean(axis=0), correct, clusters, overlap=overlap)
    return found


def _split_metrics(split: str, folds: Sequence[Scores], repeats: int) -> dict[str, Any]:
    # The folds of a repeat divide the training samples; every network predicts all test samples.
    n = sum(one.n for one in folds) // repeats if split == "out_of_fold" else folds[0].n
    result: dict[str, Any] = {"n": n, "folds": len(folds)}
    for name in NAMED:
        result |= _moments(name, [getattr(one, name) for one in folds], repeats)
    return result


def _moments(name: str, values: Sequence[float], repeats: int) -> dict[str, float]:
    return {f"{name}_mean": float(np.mean(values)), f"{name}_sd": sd_over_folds(values, repeats=repeats)}


SHOWN = 14


def mistakes(evaluation: Evaluation) -> Files:
    """Return the misclassified test samples with a figure, and the training samples with suspicious labels."""
    names = np.array(evaluation.test.classes)
    wrong = named(misclassified(evaluation.by_sample["test"]), names)
    suspected = named(suspicious(evaluation.by_sample["out_of_fold"]), names)
    return {
        "misclassified.csv": table(wrong),
        "suspicious_labels.csv": table(suspected),
        "figures/misclassified.png": picture(misclassified_figure(evaluation, wrong)),
    }


def misclassified_figure(evaluation: Evaluation, wrong: pd.DataFrame) -> Figure:
    """Draw the misclassified test samples of highest confidence; for a field also u_x, u_y and |u|."""
    shown = wrong.head(SHOWN if evaluation.is_field else 2 * SHOWN)
    strips = _strips(evaluation, pd.Index(evaluation.test.ids).get_indexer(pd.Index(shown["id"])))
    made = figure(0.78 * SHOWN + 1.2, 0.84 * len(strips) + 1.5)
    panels = made.subplots(len(strips), 1, squeeze=False)[:, 0]
    for strip, (axes, (quantity, pictures)) in enumerate(zip(panels, strips, strict=True)):
        noted = strip == 0 or not evaluation.is_field
        notes = [_note(row) for _, row in shown.iloc[strip * SHOWN : (strip + 1) * SHOWN].iterrows()]
        draw_strip(axes, pictures, quantity, SHOWN, notes if noted else None)
    networks, n = len(evaluation.fold_runs), len(evaluation.test.ids)
    made.suptitle(
        f"{evaluation.name}: {len(wrong)} of {n:,} test samples misclassified by at least one of {networks} networks\n"
        f"the {len(shown)} most confident: true as predicted class, its mean probability, networks that predict it",
        fontsize=10,
    )
    return made


def _strips(evaluation: Evaluation, rows: NDArray[np.intp]) -> list[tuple[Quantity, NDArray[Any]]]:
    """Return the pictures of each strip of the figure, at most ``SHOWN``."""
    images = visible(evaluation.samples.images[rows])
    if not evaluation.is_field:
        return [(GREY, images[:SHOWN]), (GREY, images[SHOWN:])]
    u_x, u_y = evaluation.test.inputs[rows].astype(np.float32).swapaxes(0, 1)
    return [(GREY, images), (U_X, u_x), (U_Y, u_y), (LENGTH, np.hypot(u_x, u_y))]


def _note(row: pd.Series) -> str:
    classes = two_names(str(row["true"]), " as", str(row["predicted"]))
    return f"{classes}\n{100 * row['confidence']:.0f} %  {row['agree']:.0f}/{row['networks']:.0f}"


def named(found: pd.DataFrame, names: NDArray[np.str_]) -> pd.DataFrame:
    """Return a table of this module with class names instead of class numbers."""
    columns = [column for column in ("true", "predicted", "label", "suggested") if column in found]
    return found.assign(**{column: names[found[column].to_numpy(np.int64)] for column in columns})


def misclassified(predictions: BySample) -> pd.DataFrame:
    """Return the samples that at least one network misclassifies, the most confident errors first.

    Columns: ``id, true``; ``predicted``, the wrong class that most networks predict (in a tie the more probable one);
    its ``confidence``, the mean probability over *all* networks; ``agree``, the number of networks that predict it;
    ``wrong``, the number that predict any wrong class, of ``networks``.
    """
    networks, n = predictions.classes.shape
    rows = np.arange(n)
    votes = np.zeros((n, predictions.probabilities.shape[2]))
    np.add.at(votes, (np.broadcast_to(rows, predictions.classes.shape), predictions.classes), 1)
    mean = predictions.probabilities.mean(axis=0, dtype=np.float64)
    preferred = votes + mean / 2  # a vote counts more than any probability
    preferred[rows, predictions.labels] = -1
    predicted = preferred.argmax(axis=1)
    found = pd.DataFrame(
        {
            "id": predictions.ids,
            "true": predictions.labels,
            "predicted": predicted,
            "confidence": mean[rows, predicted],
            "agree": votes[rows, predicted].astype(int),
            "wrong": (~predictions.correct).sum(axis=0),
            "networks": networks,
        }
    )
    return _by_confidence(found[found["wrong"] > 0])


def suspicious(predictions: BySample) -> pd.DataFrame:
    """Return the samples with a confident out-of-fold prediction of another class, the most confident first.

    Confident means at least the mean probability that the class gets from samples with its label, so a class that is
    predicted with low confidence has a lower threshold: the rule of confident learning (Northcutt, Jiang and Chuang,
    JAIR 70, 2021). With repeats, probabilities are means over them.

    Columns: ``id, label``; ``suggested``, the most probable of the other classes that reach their threshold; its
    ``confidence`` and ``threshold``; ``label_probability``.
    """
    mean: NDArray[np.float64] = predictions.probabilities.mean(axis=0, dtype=np.float64)
    n, classes = mean.shape
    rows = np.arange(n)
    own = mean[rows, predictions.labels]
    count = np.bincount(predictions.labels, minlength=classes)
    total = np.bincount(predictions.labels, weights=own, minlength=classes)
    threshold = np.divide(total, count, out=np.full(classes, np.inf), where=count > 0)
    reached = np.where(mean >= threshold, mean, -1.0)
    reached[rows, predictions.labels] = -1
    suggested = reached.argmax(axis=1)
    found = pd.DataFrame(
        {
            "id": predictions.ids,
            "label": predictions.labels,
            "suggested": suggested,
            "confidence": reached[rows, suggested],
            "threshold": threshold[suggested],
            "label_probability": own,
        }
    )
    return _by_confidence(found[(found["confidence"] >= 0) & (found["confidence"] > found["label_probability"])])


def _by_confidence(found: pd.DataFrame) -> pd.DataFrame:
    return found.sort_values(["confidence", "id"], ascending=[False, True], ignore_index=True)

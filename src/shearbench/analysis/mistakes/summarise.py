"""Summarise the misclassified samples of a run: the most confident errors on the test set, and suspicious labels."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.canvas import bare, figure, two_names
from shearbench.plotting.files import Files, picture, table
from shearbench.plotting.tiles import GREY, LENGTH, SMALL, U_X, U_Y, Quantity, centres, draw_tiles, row_of, visible
from shearbench.predictions.scores import BySample

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
    places = {int(number): row for row, number in enumerate(evaluation.test.ids)}
    strips = _strips(evaluation, np.array([places[number] for number in shown["id"]], np.int64))
    made = figure(0.78 * SHOWN + 1.2, 0.84 * len(strips) + 1.5)
    panels = made.subplots(len(strips), 1, squeeze=False)[:, 0]
    for strip, (axes, (quantity, tiles)) in enumerate(zip(panels, strips, strict=True)):
        draw_tiles(axes, tiles, quantity)
        bare(axes)
        if strip == 0 or not evaluation.is_field:
            axes.xaxis.tick_top()
            axes.tick_params(length=0)
            notes = [_note(row) for _, row in shown.iloc[strip * SHOWN : (strip + 1) * SHOWN].iterrows()]
            axes.set_xticks(centres(SHOWN)[: len(notes)], notes, fontsize=SMALL)
    networks, n = len(evaluation.fold_runs), len(evaluation.test.ids)
    made.suptitle(
        f"{evaluation.name}: {len(wrong)} of {n:,} test samples misclassified by at least one of {networks} networks\n"
        f"the {len(shown)} most confident: true as predicted class, its mean probability, networks that predict it",
        fontsize=10,
    )
    return made


def _strips(evaluation: Evaluation, rows: NDArray[np.int64]) -> list[tuple[Quantity, NDArray[np.float32]]]:
    """Return the strips of the figure, (1, ``SHOWN``, ...) each, padded with NaN."""
    images = visible(evaluation.samples.images[rows])
    if not evaluation.is_field:
        return [(GREY, row_of(part, SHOWN, images.shape[1:])) for part in (images[:SHOWN], images[SHOWN:])]
    u_x, u_y = evaluation.test.inputs[rows].astype(np.float32).swapaxes(0, 1)
    values = {GREY: images, U_X: u_x, U_Y: u_y, LENGTH: np.hypot(u_x, u_y)}
    return [(quantity, row_of(tiles, SHOWN, tiles.shape[1:])) for quantity, tiles in values.items()]


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

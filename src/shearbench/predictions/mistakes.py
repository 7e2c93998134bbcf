"""Misclassified samples and suspicious labels, from stored predictions."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.predictions.scores import BySample


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

"""Misclassified samples and suspicious labels, from stored predictions."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.predictions.scores import BySample


def named(found: pd.DataFrame, names: NDArray[np.str_]) -> pd.DataFrame:
    """Return a table of this module with class names instead of class numbers."""
    columns = [column for column in ("true", "predicted", "label", "suggested") if column in found]
    return found.assign(**{column: names[found[column].to_numpy(np.int64)] for column in columns})


def misclassified(said: BySample) -> pd.DataFrame:
    """Return the samples that at least one network misclassifies, the most confident errors first.

    Columns: ``id, true``; ``predicted``, the wrong class that most networks predict (in a tie the more probable one);
    its ``confidence``, the mean probability over *all* networks; ``agree``, the number of networks that predict it;
    ``wrong``, the number that predict any wrong class, of ``networks``.
    """
    networks, n = said.classes.shape
    rows = np.arange(n)
    votes = np.zeros((n, said.probabilities.shape[2]))
    np.add.at(votes, (np.broadcast_to(rows, said.classes.shape), said.classes), 1)
    mean = said.probabilities.mean(axis=0, dtype=np.float64)
    preferred = votes + mean / 2  # a vote counts more than any probability
    preferred[rows, said.labels] = -1
    predicted = preferred.argmax(axis=1)
    found = pd.DataFrame(
        {
            "id": said.ids,
            "true": said.labels,
            "predicted": predicted,
            "confidence": mean[rows, predicted],
            "agree": votes[rows, predicted].astype(int),
            "wrong": (~said.correct).sum(axis=0),
            "networks": networks,
        }
    )
    return found[found["wrong"] > 0].sort_values(["confidence", "id"], ascending=[False, True], ignore_index=True)


def suspicious(said: BySample) -> pd.DataFrame:
    """Return the samples with a confident out-of-fold prediction of another class, the most confident first.

    Confident means at least the mean probability that the class gets from samples with its label, so a class that is
    predicted with low confidence has a lower threshold: the rule of confident learning (Northcutt, Jiang and Chuang,
    JAIR 70, 2021). With repeats, probabilities are means over them.

    Columns: ``id, label``; ``suggested``, the most probable of the other classes that reach their threshold; its
    ``confidence`` and ``threshold``; ``label_probability``.
    """
    mean: NDArray[np.float64] = said.probabilities.mean(axis=0, dtype=np.float64)
    rows = np.arange(len(said.labels))
    own = mean[rows, said.labels]
    classes = mean.shape[1]
    count = np.bincount(said.labels, minlength=classes)
    total = np.bincount(said.labels, weights=own, minlength=classes)
    threshold = np.divide(total, count, out=np.full(classes, np.inf), where=count > 0)
    reached = np.where(mean >= threshold, mean, -1.0)
    reached[rows, said.labels] = -1
    suggested = reached.argmax(axis=1)
    found = pd.DataFrame(
        {
            "id": said.ids,
            "label": said.labels,
            "suggested": suggested,
            "confidence": reached[rows, suggested],
            "threshold": threshold[suggested],
            "label_probability": own,
        }
    )
    suspects = found[(found["confidence"] >= 0) & (found["confidence"] > found["label_probability"])]
    return suspects.sort_values(["confidence", "id"], ascending=[False, True], ignore_index=True)

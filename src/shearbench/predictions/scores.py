"""Compute scores from predictions: accuracy, loss, F1 and their parts, each with its n.

Pure functions of arrays; scikit-learn counts. A loss is the cross-entropy -log p(true class), in nats per sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Lower bound of a probability in a loss: the loss of a probability that underflowed to 0 would be infinite."""


def cross_entropy(probabilities: NDArray[Any]) -> NDArray[np.float64]:
    """Return -log of probabilities of the true class, an array of any shape."""
    losses: NDArray[np.float64] = -np.log(np.clip(probabilities.astype(np.float64), LEAST_PROBABILITY, 1.0))
    return losses


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one network: ``ids``, ``labels`` int64 (n,), ``probabilities`` (n, classes)."""

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The most probable class of each sample, (n,)."""
        classes: NDArray[np.int64] = self.probabilities.argmax(axis=-1)
        return classes

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the most probable class is the true class, (n,)."""
        correct: NDArray[np.bool_] = self.classes == self.labels
        return correct

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """The cross-entropy of each sample, (n,)."""
        return cross_entropy(self.probabilities[..., np.arange(len(self.labels)), self.labels])


@dataclass(frozen=True, eq=False)
class BySample(Predictions):
    """Predictions of m networks: ``probabilities`` are (m, n, classes), and all that follows from them is (m, n)."""

    folds: NDArray[np.int64] | None = None
    """(m, n), the fold that holds each sample out; None for test samples."""


def by_sample(out_of_fold: Sequence[Predictions], *, of: str = "a run") -> BySample:
    """Return the predictions of all folds in the order of ids: of each sample by one network per repeat.

    Raises:
        InputError: if not every repeat predicts the same samples; it names the run ``of``.
    """
    ids, labels, probabilities = (
        np.concatenate([getattr(each, name) for each in out_of_fold]) for name in ("ids", "labels", "probabilities")
    )
    names, counts = np.unique(ids, return_counts=True)
    if (counts != counts[0]).any():
        raise InputError(f"not every repeat of {of} predicts the same samples; run `dvc repro`")
    order = np.argsort(ids, kind="stable").reshape(len(names), -1).T
    numbers = np.arange(len(out_of_fold)) % (len(out_of_fold) // len(order))
    folds = np.repeat(numbers, [len(one.ids) for one in out_of_fold])
    return BySample(ids[order[0]], labels[order[0]], probabilities[order], folds[order])


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one network on one split; the arrays have one value for each class, NaN where it has no sample."""

    n: int
    accuracy: float
    balanced_accuracy: float
    """The mean recall of the classes that occur: the accuracy if all classes were equally frequent."""
    loss: float
    macro_f1: float
    support: NDArray[np.int64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    class_loss: NDArray[np.float64]
    confusion: NDArray[np.int64]
    """(true class, predicted class) counts."""


def score(predictions: Predictions) -> Scores:
    """Return the scores of one network on one split.

    The precision of a class that is never predicted is 0; macro F1 is the mean over the classes that occur.
    """
    from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support  # takes a second to load

    labels, classes, losses = predictions.labels, predictions.classes, predictions.losses
    count = predictions.probabilities.shape[1]
    every = np.arange(count)
    precision, recall, f1, support = precision_recall_fscore_support(labels, classes, labels=every, zero_division=0)
    total = np.bincount(labels, weights=losses, minlength=count)
    absent = support == 0
    return Scores(
        n=len(labels),
        accuracy=float((labels == classes).mean()),
        balanced_accuracy=float(recall[~absent].mean()),
        loss=float(losses.mean()),
        macro_f1=float(f1_score(labels, classes, average="macro", zero_division=0)),
        support=support,
        precision=precision,
        recall=np.where(absent, np.nan, recall),
        f1=np.where(absent, np.nan, f1),
        class_loss=np.divide(total, support, out=np.full(count, np.nan), where=~absent),
        confusion=confusion_matrix(labels, classes, labels=every),
    )


def rates(confusion: NDArray[Any]) -> NDArray[np.float64]:
    """Return a confusion matrix with each row (true class) divided by its sum; a class without samples gives zeros."""
    total = confusion.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(confusion, total, out=np.zeros(confusion.shape), where=total > 0)
    return shares

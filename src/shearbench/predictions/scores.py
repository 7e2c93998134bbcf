"""Scores from predictions: accuracy, loss, F1 and their parts, each with its n; and 95 % confidence intervals.

Pure functions of arrays; scikit-learn counts. A loss is the cross-entropy -log p(true class), in nats per sample.

The intervals are for another draw of samples and fixed networks. Accuracy, precision and recall are shares: Wilson's
interval for n samples. F1 = 2 J / (1 + J), where J = TP / (TP + FP + FN) is the share of hits among the samples that
are labelled or predicted as the class. Given their number, J is binomial, so Wilson's interval of J gives one of F1,
which has a width even without errors. The interval of a mean over samples is Student's t, or for losses the
bias-corrected and accelerated bootstrap (scipy). If several networks predict the same samples, a score is the mean over
them and n counts each sample once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics.proportions import wilson

LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)
"""Lower bound of a probability in a loss: the loss of a probability that underflowed to 0 would be infinite."""
Estimate = dict[str, float | int]
_RESAMPLES = 1999
_TAIL = (1 - 0.95) / 2
_NONE = (math.nan, math.nan)


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


@dataclass(frozen=True)
class Counts:
    """Numbers of samples labelled as a class, predicted as it, and either; means over the networks."""

    true: float
    predicted: float
    either: float


def counts_of(predictions: BySample, label: int) -> Counts:
    """Return the counts of class ``label``."""
    true, predicted = predictions.labels == label, predictions.classes == label
    return Counts(float(true.sum()), float(predicted.sum(axis=1).mean()), float((predicted | true).sum(axis=1).mean()))


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``n`` samples; NaN without samples."""
    return _NONE if math.isnan(share) or round(n) < 1 else wilson(share, round(n))


def share_with_interval(name: str, count: float, n: float) -> dict[str, float]:
    """Return ``<name>`` = count / n with Wilson's interval, ``<name>_low`` and ``<name>_high``; NaN without samples."""
    share = count / n if n else math.nan
    low, high = share_interval(share, n)
    return {name: share, f"{name}_low": low, f"{name}_high": high}


def f1_interval(f1: float, either: float) -> tuple[float, float]:
    """Return the interval of an F1; ``either`` counts the samples labelled or predicted as the class (NaN for 0)."""
    low, high = share_interval(f1 / (2 - f1), either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def bootstrap_interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of ``values`` (n,); NaN for fewer than 2 distinct values."""
    if len(np.unique(values)) < 2:
        return _NONE
    found = stats.bootstrap((values,), np.mean, n_resamples=_RESAMPLES, method="BCa", rng=rng).confidence_interval
    return float(found.low), float(found.high)


def accuracy_of(correct: NDArray[np.bool_], rows: NDArray[np.int64]) -> Estimate:
    """Estimate an accuracy from correct and incorrect predictions.

    Args:
        correct: (networks, n), or (networks, draws, n).
        rows: (networks, n), the row of the sample of each prediction.

    Returns:
        ``n`` distinct samples, ``readings`` (networks x draws), mean and standard deviation over the latter, and
        Wilson's interval for the choice of the n samples.
    """
    each = correct.mean(axis=-1).ravel()
    n, mean = len(np.unique(rows)), float(each.mean())
    low, high = wilson(mean, n)
    return {
        "n": n,
        "readings": each.size,
        "accuracy_mean": mean,
        "accuracy_sd": float(each.std(ddof=1)),
        "accuracy_low": low,
        "accuracy_high": high,
    }


def mean_of(values: NDArray[np.floating]) -> Estimate:
    """Estimate a mean over samples with Student's t interval; samples without a value (NaN) do not count.

    Returns:
        ``n``, ``mean``, ``low`` and ``high``. The mean is NaN without samples, the bounds with fewer than 2.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    n = len(known)
    mean = float(known.mean()) if n else np.nan
    reach = float(stats.t.isf(_TAIL, n - 1)) * float(known.std(ddof=1)) / math.sqrt(n) if n > 1 else np.nan
    return {"n": n, "mean": mean, "low": mean - reach, "high": mean + reach}

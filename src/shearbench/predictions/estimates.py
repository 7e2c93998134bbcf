"""Estimates from predictions, with 95 % confidence intervals for another draw of samples and fixed networks.

Accuracy, precision and recall are shares: Wilson's interval for n samples. F1 = 2 J / (1 + J), where
J = TP / (TP + FP + FN) is the share of hits among the samples that are labelled or predicted as the class. Given their
number, J is binomial, so Wilson's interval of J gives one of F1, which has a width even without errors. The interval of
a mean over samples is Student's t, or for losses the bias-corrected and accelerated bootstrap (scipy).

If several networks predict the same samples, a score is the mean over them and n counts each sample once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.predictions.scores import BySample
from shearbench.statistics.proportions import wilson

Estimate = dict[str, float | int]
_RESAMPLES = 1999
_TAIL = (1 - 0.95) / 2
_NONE = (math.nan, math.nan)


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

"""Intervals of the scores of one class for another draw of digits: 95 %, for given networks.

Precision and recall are shares: Wilson's interval of n digits. F1 = 2 J / (1 + J), where J = TP / (TP + FP + FN) is the
share of hits among the digits that are of the class or taken for it; given their number it is binomial like the others,
so Wilson's interval of J gives one of F1, which has a width also where there is no error. The loss is a mean: the
bootstrap over digits, bias-corrected and accelerated (scipy).

Where several networks read the same digits, a score is the mean over them and n counts each digit once.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.predictions.scores import BySample
from shearbench.statistics.proportions import wilson

_RESAMPLES = 1999
_NONE = (math.nan, math.nan)


@dataclass(frozen=True)
class Counts:
    """Digits that are of a class, that are taken for it, and that are either; means over the networks."""

    true: float
    predicted: float
    either: float


def counts_of(said: BySample, digit: int) -> Counts:
    """Count for class ``digit``."""
    true, taken = said.labels == digit, said.classes == digit
    return Counts(float(true.sum()), float(taken.sum(axis=1).mean()), float((taken | true).sum(axis=1).mean()))


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``n`` digits; NaN where there is no digit."""
    return _NONE if math.isnan(share) or round(n) < 1 else wilson(share, round(n))


def f1_interval(f1: float, either: float) -> tuple[float, float]:
    """Return the interval of an F1 on so many digits that are of the class or taken for it; NaN where there is none."""
    low, high = share_interval(f1 / (2 - f1), either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of the mean of ``values`` (n,); NaN for fewer than 2 different ones, which show no spread."""
    if len(np.unique(values)) < 2:
        return _NONE
    found = stats.bootstrap((values,), np.mean, n_resamples=_RESAMPLES, method="BCa", rng=rng).confidence_interval
    return float(found.low), float(found.high)

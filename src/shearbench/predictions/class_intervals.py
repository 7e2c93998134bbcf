"""95 % confidence intervals of the scores of one class, for another draw of samples and fixed networks.

Precision and recall are shares: Wilson's interval for n samples. F1 = 2 J / (1 + J), where J = TP / (TP + FP + FN) is
the share of hits among the samples that are labelled or predicted as the class. Given their number, J is binomial, so
Wilson's interval of J gives one of F1, which has a width even without errors. The loss is a mean: bias-corrected and
accelerated bootstrap over samples (scipy).

If several networks predict the same samples, a score is the mean over them and n counts each sample once.
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
    """Numbers of samples labelled as a class, predicted as it, and either; means over the networks."""

    true: float
    predicted: float
    either: float


def counts_of(said: BySample, digit: int) -> Counts:
    """Return the counts of class ``digit``."""
    true, predicted = said.labels == digit, said.classes == digit
    return Counts(float(true.sum()), float(predicted.sum(axis=1).mean()), float((predicted | true).sum(axis=1).mean()))


def share_interval(share: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of ``n`` samples; NaN without samples."""
    return _NONE if math.isnan(share) or round(n) < 1 else wilson(share, round(n))


def f1_interval(f1: float, either: float) -> tuple[float, float]:
    """Return the interval of an F1; ``either`` counts the samples labelled or predicted as the class (NaN for 0)."""
    low, high = share_interval(f1 / (2 - f1), either)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(values: NDArray[np.float64], rng: np.random.Generator) -> tuple[float, float]:
    """Return the interval of the mean of ``values`` (n,); NaN for fewer than 2 distinct values."""
    if len(np.unique(values)) < 2:
        return _NONE
    found = stats.bootstrap((values,), np.mean, n_resamples=_RESAMPLES, method="BCa", rng=rng).confidence_interval
    return float(found.low), float(found.high)

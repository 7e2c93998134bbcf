"""Estimate a mean over networks and samples, its spread, and its confidence interval for other samples."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.statistics.proportions import wilson

Estimate = dict[str, float | int]


def accuracy_of(correct: NDArray[np.bool_], rows: NDArray[np.int64]) -> Estimate:
    """Estimate an accuracy from correct and incorrect predictions.

    Args:
        correct: (networks, n), or (networks, draws, n); each draw is a reading of its own.
        rows: (networks, n), the row of the sample of each prediction.

    Returns:
        ``n`` distinct samples, ``readings`` (networks x draws), mean and standard deviation over the readings, and
        Wilson's 95 % interval for the choice of the n samples.
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


def mean_of(values: NDArray[np.floating], *, level: float = 0.95) -> Estimate:
    """Estimate a mean over samples with Student's t interval; samples without a value (NaN) do not count.

    Returns:
        ``n``, ``mean``, ``low`` and ``high``. The mean is NaN without samples, the bounds with fewer than 2.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    n = len(known)
    mean = float(known.mean()) if n else np.nan
    reach = float(stats.t.isf((1 - level) / 2, n - 1)) * float(known.std(ddof=1)) / sqrt(n) if n > 1 else np.nan
    return {"n": n, "mean": mean, "low": mean - reach, "high": mean + reach}

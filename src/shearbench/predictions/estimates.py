"""Values of several networks on several digits -> a mean, how it spreads, and how far other digits could move it."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.statistics.proportions import wilson

Estimate = dict[str, float | int]


def accuracy_of(correct: NDArray[np.bool_], rows: NDArray[np.int64]) -> Estimate:
    """Estimate an accuracy from readings that are right or wrong.

    Args:
        correct: (networks, n), or (networks, draws, n): draws count as further readings.
        rows: (networks, n), which digit each reading is of.

    Returns:
        ``n`` different digits, ``readings`` (networks x draws), mean and standard deviation over those, and Wilson's
        95 % interval for the choice of the n digits.
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
    """Estimate a mean over digits with Student's t interval; digits without a value (NaN) do not count.

    Returns:
        ``n``, ``mean``, ``low`` and ``high``; without any digit all are NaN, with a single one the bounds are.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    n = len(known)
    mean = float(known.mean()) if n else np.nan
    reach = float(stats.t.isf((1 - level) / 2, n - 1)) * float(known.std(ddof=1)) / sqrt(n) if n > 1 else np.nan
    return {"n": n, "mean": mean, "low": mean - reach, "high": mean + reach}

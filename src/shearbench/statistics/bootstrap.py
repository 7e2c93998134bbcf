"""Paired bootstrap intervals of a difference in accuracy, computed exactly instead of by drawing.

A resample draws n cases with replacement, the same for both models and for every fold's network. The contribution of a
case is a whole number, its discordance: networks of ``a`` minus networks of ``b`` that predict it correctly. The sum
over n drawn cases therefore has a known distribution on whole numbers: the n-fold convolution of the observed one (an
FFT). Its percentiles are those of infinitely many resamples. There is no seed and no Monte Carlo error, and swapping
the models flips the interval exactly. Source: Efron, Annals of Statistics 7 (1979), the ideal bootstrap.

Resampling the fold networks as well would give too narrow an interval: with 5 folds it misses the true difference in
15 % instead of 5 %, even if the folds were independent. The effect of another training is therefore drawn from the t
distribution of ``resampled_t`` and added to the resampled cases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from shearbench.statistics.mcnemar import Correct, check_paired
from shearbench.statistics.resampled_t import error_factor, spread

_NEGLIGIBLE = 1e-13
"""Probability below which a value of the sum is rounding of the FFT."""


@dataclass(frozen=True)
class BootstrapInterval:
    """A percentile interval of the mean difference a - b; its width is 0 if all cases have the same difference."""

    difference: float
    low: float
    high: float
    level: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class _Resampled:
    """The bootstrap distribution of the mean difference: ascending ``values`` (v,) and their ``probabilities``."""

    values: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def mirrored(self) -> "_Resampled":
        return _Resampled(-self.values[::-1], self.probabilities[::-1])


def bootstrap_cases(correct_a: Correct, correct_b: Correct, *, level: float = 0.95) -> BootstrapInterval:
    """Return the interval of the difference between *these* trained networks over other test sets.

    Args:
        correct_a: (networks, cases), whether the network of each fold is correct.
        correct_b: of the same shape, for the same cases in the same order.
        level: of the interval, 0 to 1.

    Raises:
        InputError: if shapes or types are wrong.
    """
    a, b = check_paired(correct_a, correct_b, dimensions=2)
    resampled = _resample(a, b)
    tail = (1 - level) / 2
    # The upper end is the lower end of the mirrored distribution, so that swapping a and b flips the interval exactly.
    low, high = _quantile(resampled, tail), -_quantile(resampled.mirrored(), tail)
    return BootstrapInterval(_mean_difference(a, b), low, high, level)


def bootstrap_folds_and_cases(correct_a: Correct, correct_b: Correct, *, level: float = 0.95) -> BootstrapInterval:
    """Return the interval of the difference over other test sets *and* other trainings.

    The interval is that of (mean over resampled cases) + (standard error of ``resampled_t`` over the fold networks'
    differences) * (Student's t with folds * repeats - 1 degrees of freedom). Without variance over cases it is the
    corrected t interval, without variance over folds that of :func:`bootstrap_cases`; else slightly too wide.

    Args:
        correct_a: (repeats, folds, cases), at least 2 folds.
        correct_b: of the same shape.
        level: of the interval, 0 to 1.

    Raises:
        InputError: if shapes or types are wrong.
    """
    a, b = check_paired(correct_a, correct_b, dimensions=3)
    repeats, folds, cases = a.shape
    flat_a, flat_b = a.reshape(-1, cases), b.reshape(-1, cases)
    error = spread(a.mean(axis=2) - b.mean(axis=2)) * error_factor(folds, repeats)
    if error == 0.0:
        return bootstrap_cases(flat_a, flat_b, level=level)
    resampled, tail, df = _resample(flat_a, flat_b), (1 - level) / 2, repeats * folds - 1
    low = _quantile_with_t(resampled, tail, error=error, df=df)
    high = -_quantile_with_t(resampled.mirrored(), tail, error=error, df=df)
    return BootstrapInterval(_mean_difference(flat_a, flat_b), low, high, level)


def _mean_difference(a: Correct, b: Correct) -> float:
    return (int(a.sum()) - int(b.sum())) / a.size


def _resample(a: Correct, b: Correct) -> _Resampled:
    """Return the distribution of the mean difference over n cases drawn with replacement."""
    networks, n = a.shape
    discordance = a.sum(axis=0, dtype=np.int64) - b.sum(axis=0, dtype=np.int64)
    # The FFT needs values from 0 on: shift by the least value, and shift the sums back by n times it.
    lowest = int(discordance.min())
    sums = sums_of_draws(np.bincount(discordance - lowest)[np.newaxis])[0]
    support = np.flatnonzero(sums)
    return _Resampled((support + n * lowest) / (n * networks), sums[support])


def sums_of_draws(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distribution of the sum of n draws with replacement, for each of many comparisons.

    Args:
        counts: (comparisons, w), number of the n cases with the value 0, 1, ..., w - 1; n is the same for all.

    Returns:
        The probabilities of the sums 0 .. n (w - 1), (comparisons, n (w - 1) + 1); 0 if they are rounding error.
    """
    n = int(counts[0].sum())
    length = n * (counts.shape[1] - 1) + 1
    size = fft.next_fast_len(length, real=True)
    sums = fft.irfft(_power(fft.rfft(counts / n, size, axis=1), n), size, axis=1)[:, :length]
    sums[sums <= _NEGLIGIBLE] = 0.0
    chances: NDArray[np.float64] = sums / sums.sum(axis=1, keepdims=True)
    return chances


def _power(values: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    """Return ``values ** n`` by squaring, which is five times as fast as NumPy's own on complex numbers."""
    result = np.ones_like(values)
    for bit in f"{n:b}":
        result *= result
        if bit == "1":
            result *= values
    return result


def _quantile(resampled: _Resampled, tail: float) -> float:
    """Return the smallest value with at least ``tail`` of the probability at or below it."""
    below = np.cumsum(resampled.probabilities)
    return float(resampled.values[np.searchsorted(below, tail - _NEGLIGIBLE)])


def _quantile_with_t(resampled: _Resampled, tail: float, *, error: float, df: int) -> float:
    """Return the ``tail`` quantile of the resampled mean plus ``error`` times Student's t."""

    def excess(x: float) -> float:
        below = stdtr(df, (x - resampled.values) / error)
        return float(resampled.probabilities @ below) - tail

    reach = float(stdtrit(df, tail)) * error
    margin = 1e-6 * error  # keeps the bracket wider than 0 if all cases are equal
    return float(
        brentq(excess, resampled.values[0] + reach - margin, resampled.values[-1] + reach + margin, xtol=1e-14)
    )

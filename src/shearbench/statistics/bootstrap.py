"""Paired bootstrap intervals of a difference in accuracy, computed exactly instead of by drawing.

A resample draws n cases with replacement, the same for both models and for every fold's network. The contribution of a
case is a whole number, its discordance: networks of ``a`` minus networks of ``b`` that predict it correctly. The sum
over n drawn cases therefore has a known distribution on whole numbers: the n-fold convolution of the observed one (an
FFT). Its percentiles are those of infinitely many resamples. There is no seed and no Monte Carlo error, and swapping
the models flips the interval exactly. Source: Efron, Annals of Statistics 7 (1979), the ideal bootstrap.

Resampling the fold networks as well would give too narrow an interval: with 5 folds it misses the true difference in
15 % instead of 5 %. The effect of another training is therefore a t distribution (``resampled_t``) added to the cases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from shearbench.statistics.mcnemar import Correct, check_paired, discordance_of
from shearbench.statistics.resampled_t import error_factor, spread

Floats = NDArray[np.float64]
_NEGLIGIBLE = 1e-13
"""Probability below which a value of the sum is rounding of the FFT."""


@dataclass(frozen=True)
class BootstrapInterval:
    """A percentile interval of the mean difference a - b; its width is 0 if all cases have the same difference."""

    difference: float
    low: float
    high: float


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
    return _interval(a, b, partial(_quantile, tail=(1 - level) / 2))


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
    return _interval(
        flat_a, flat_b, partial(_quantile_with_t, tail=(1 - level) / 2, error=error, df=repeats * folds - 1)
    )


def _interval(a: Correct, b: Correct, quantile: Callable[[Floats, Floats], float]) -> BootstrapInterval:
    values, probabilities = _resample(a, b)
    # The upper end is the lower end of the mirrored distribution, so that swapping a and b flips the interval exactly.
    low, high = quantile(values, probabilities), -quantile(-values[::-1], probabilities[::-1])
    return BootstrapInterval((int(a.sum()) - int(b.sum())) / a.size, low, high)


def _resample(a: Correct, b: Correct) -> tuple[Floats, Floats]:
    """Return the mean difference over n cases drawn with replacement: ascending values and their probabilities."""
    networks, n = a.shape
    discordance = discordance_of(a, b)
    # The FFT needs values from 0 on: shift by the least value, and shift the sums back by n times it.
    lowest = int(discordance.min())
    counts = np.bincount(discordance - lowest)
    length = n * (len(counts) - 1) + 1  # the sum of n draws is 0 to n times the largest value
    size = fft.next_fast_len(length, real=True)
    sums = fft.irfft(_power(fft.rfft(counts / n, size), n), size)[:length]
    sums[sums <= _NEGLIGIBLE] = 0.0
    support = np.flatnonzero(sums)
    return (support + n * lowest) / (n * networks), sums[support] / sums.sum()


def _power(values: NDArray[np.complex128], n: int) -> NDArray[np.complex128]:
    """Return ``values ** n`` by squaring, which is five times as fast as NumPy's own on complex numbers."""
    result = np.ones_like(values)
    for bit in f"{n:b}":
        result *= result
        if bit == "1":
            result *= values
    return result


def _quantile(values: Floats, probabilities: Floats, *, tail: float) -> float:
    """Return the smallest value with at least ``tail`` of the probability at or below it."""
    return float(values[np.searchsorted(np.cumsum(probabilities), tail - _NEGLIGIBLE)])


def _quantile_with_t(values: Floats, probabilities: Floats, *, tail: float, error: float, df: int) -> float:
    """Return the ``tail`` quantile of the resampled mean plus ``error`` times Student's t."""

    def excess(x: float) -> float:
        return float(probabilities @ stdtr(df, (x - values) / error)) - tail

    reach = float(stdtrit(df, tail)) * error
    margin = 1e-6 * error  # keeps the bracket wider than 0 if all cases are equal
    return float(brentq(excess, values[0] + reach - margin, values[-1] + reach + margin, xtol=1e-14))

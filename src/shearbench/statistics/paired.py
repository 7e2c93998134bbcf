"""McNemar's test and bootstrap intervals of two runs on the same test cases, both computed exactly by an FFT.

Both use the discordance w of each case: networks of ``a`` minus networks of ``b`` that predict it correctly. With one
pair of networks, b cases have w = 1 (only ``a`` is correct) and c cases w = -1.

McNemar's test: if both are correct equally often, b is binomial (b + c, 1/2). With k folds there are k pairs of
networks, and their tests share the cases. If the runs are alike on these cases, each w is as likely with the other
sign, so the sum of w is distributed as that of +-w. The result holds for *these trained networks*. Another training
gives other networks, so the test alone supports no claim about an architecture. Mid-p: Fagerland, Lydersen and Laake,
BMC Medical Research Methodology 13 (2013).

Bootstrap: a resample draws n cases with replacement, the same for both models and for every fold's network. The sum of
w over n drawn cases has a known distribution on whole numbers: the n-fold convolution of the observed one. Its
percentiles are those of infinitely many resamples. There is no seed and no Monte Carlo error, and swapping the models
flips the interval exactly. Source: Efron, Annals of Statistics 7 (1979), the ideal bootstrap. Resampling the fold
networks as well would give too narrow an interval: with 5 folds it misses the true difference in 15 % instead of 5 %.
The effect of another training is therefore a t distribution (``resampled_t``) added to the cases.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from shearbench.errors import InputError
from shearbench.statistics.resampled_t import error_factor, spread

Correct = NDArray[np.bool_]
Floats = NDArray[np.float64]
LEAST_P = 1e-12
"""Least p value: below it, the tail of the FFT is rounding error."""
_NEGLIGIBLE = 1e-13
"""Probability below which a value of the sum is rounding of the FFT."""


def mcnemar_p(correct_a: Correct, correct_b: Correct) -> float:
    """Return the mid-p of the fold networks of two runs on one test set, (networks, cases) each.

    Raises:
        InputError: if the shapes differ.
    """
    return sign_flip_p(discordance_of(*check_paired(correct_a, correct_b, dimensions=2)))


def discordance_of(correct_a: Correct, correct_b: Correct) -> NDArray[np.int64]:
    """Return the number of networks of ``a`` minus networks of ``b`` that predict each case correctly, (cases,)."""
    discordance: NDArray[np.int64] = correct_a.sum(axis=0, dtype=np.int64) - correct_b.sum(axis=0, dtype=np.int64)
    return discordance


def sign_flip_p(discordance: NDArray[np.int64]) -> float:
    """Return the two-sided mid-p of s = abs(sum(discordance)) under random signs, 2 (P(S > s) + P(S = s) / 2).

    ``discordance`` is (cases,). The result is 1 if the sum is 0, and at least ``LEAST_P``.
    """
    sizes, seen = np.bincount(np.abs(discordance)), abs(int(discordance.sum()))
    largest = int(sizes @ np.arange(len(sizes)))
    length = fft.next_fast_len(2 * largest + 1, real=True)
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    # cos(size * angle) is the characteristic function of +-size with fair signs; a sum's is the product over its cases.
    waves = np.prod([np.cos(size * angles) ** count for size, count in enumerate(sizes)], axis=0)
    chances = fft.irfft(waves, length)[: largest + 1]  # P(S = 0), P(S = 1), ...
    beyond = np.where(np.arange(largest + 1) >= seen, chances, 0.0).sum()
    return float(np.clip(2 * beyond - chances[seen], LEAST_P, 1.0))


def check_paired(correct_a: NDArray[Any], correct_b: NDArray[Any], *, dimensions: int) -> tuple[Correct, Correct]:
    """Return both arrays; InputError unless they are boolean, not empty and of one shape with ``dimensions`` axes."""
    fits = correct_a.shape == correct_b.shape and correct_a.ndim == dimensions and correct_a.size > 0
    if not fits or correct_a.dtype != np.bool_ or correct_b.dtype != np.bool_:
        raise InputError(
            f"paired correctness must be two boolean arrays of one shape with {dimensions} dimension(s), got "
            f"{correct_a.dtype} {correct_a.shape} and {correct_b.dtype} {correct_b.shape}; "
            "give both networks' predictions of the same cases"
        )
    return correct_a, correct_b


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

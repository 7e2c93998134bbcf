"""Power of a verdict with an estimated standard error.

With z = (estimate - truth) / SE normal, s^2 = (estimated SE / SE)^2 chi-square / df, and c the critical value of t, the
interval is estimate ± c s SE. Its verdict is

    better      if z + truth/SE > max(c s, rope/SE - c s)      above 0, and not within the region of equivalence
    equivalent  if |z + truth/SE| <= rope/SE - c s

The probability of each is the normal one, averaged over s by Gauss-Legendre quadrature in the quantiles of s. Without a
region, "better" is the tail of the noncentral t; "equivalent" is the power of two one-sided tests. Source: Phillips,
Journal of Pharmacokinetics and Biopharmaceutics 18 (1990), by Owen's Q instead of quadrature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

Floats = NDArray[np.float64]
OVERLAP = 0.5
"""Share of n_test/n_train measured on draws of MNIST with 5 folds: (0.32 - 1/5) / (1/4), about one half."""
MOST_REPEATS = 1000
TAILS = ((1 - 0.8) / 2, 1 - (1 - 0.8) / 2)
"""Of the chi-square interval of a variance."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


@dataclass(frozen=True)
class Precision:
    """The standard error of a difference for other samples and other trainings; fractions of accuracy."""

    standard_error: float
    samples_error: float
    """The part due to other samples: the standard error if the networks were fixed."""
    training_error: float
    df: float
    point: float
    """Two-sided level of the test of each pair of the family; alpha if the pair is alone."""
    networks: int
    overlap: float
    """n_test/n_train, or 0 if the trainings share no samples."""


def training_factor(networks: float, overlap: float) -> float:
    """Return the factor of the variance of one training in a mean over K networks: 1/K + n_test/n_train / 2."""
    return 1 / networks + OVERLAP * overlap


def satterthwaite(
    samples: Floats, training: Floats, square: Floats, *, samples_df: Floats, training_df: Floats
) -> Floats:
    """Return the degrees of freedom of V_samples + V_training, between those of trainings and of samples.

    Args:
        samples: V_samples, with ``samples_df`` degrees of freedom.
        training: V_training.
        square: the mean square that estimates V_training, with ``training_df`` degrees of freedom.
    """
    variance_of_variance = samples**2 / samples_df + square**2 / training_df
    df = np.where(
        variance_of_variance > 0,
        (samples + training) ** 2 / np.where(variance_of_variance > 0, variance_of_variance, 1),
        np.inf,
    )
    return np.asarray(np.clip(df, training_df, np.maximum(samples_df, training_df)))


def power_of(found: Precision, difference: float, *, rope: float) -> float:
    """Return the probability that a true ``difference`` > 0 is called better, with a region of equivalence."""
    if found.standard_error == 0:  # both predict the same samples correctly
        return float(difference > rope)
    weights, reach = _reaches(found)
    least = np.maximum(reach, rope / found.standard_error - reach)
    return float(weights @ stats.norm.sf(least - difference / found.standard_error))


def equivalence_power(found: Precision, *, rope: float) -> float:
    """Return the probability that models of equal accuracy are called equivalent."""
    if found.standard_error == 0:
        return 1.0
    weights, reach = _reaches(found)
    return float(weights @ np.maximum(0.0, 2 * stats.norm.cdf(rope / found.standard_error - reach) - 1))


def detectable(found: Precision, *, rope: float, power: float) -> float:
    """Return the smallest true difference that is correctly called better or worse with probability ``power``."""
    if found.standard_error == 0:
        return rope
    return _least(lambda x: power_of(found, x, rope=rope), power, found.standard_error)


def detectable_range(found: Sequence[Precision], *, rope: float, power: float) -> tuple[float, float]:
    """Return the smallest and the largest detectable difference over ``found``.

    The smallest need not belong to the smallest standard error, because the degrees of freedom differ.
    """
    least = [detectable(each, rope=rope, power=power) for each in found]
    return min(least), max(least)


def equivalence_needs(found: Precision, *, power: float) -> float:
    """Return the least region of equivalence in which models of equal accuracy are called equivalent with ``power``."""
    if found.standard_error == 0:
        return 0.0
    return _least(lambda x: equivalence_power(found, rope=x), power, found.standard_error)


def with_networks(found: Precision, networks: float) -> Precision:
    """Return the precision with another number of trainings of the same folds; the part due to samples is the same."""
    ratio = training_factor(networks, found.overlap) / training_factor(found.networks, found.overlap)
    training = found.training_error * sqrt(ratio)
    return replace(found, training_error=training, standard_error=sqrt(found.samples_error**2 + training**2))


def needed_repeats(
    with_repeats: Callable[[int], Precision], difference: float, *, rope: float, power: float
) -> int | None:
    """Return the fewest repeats with which ``difference`` is detected, or None if 1000 do not suffice."""

    def detects(repeats: int) -> bool:
        return power_of(with_repeats(repeats), difference, rope=rope) >= power

    if not detects(MOST_REPEATS):
        return None
    low, high = 0, MOST_REPEATS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detects(middle) else (middle, high)
    return high


def error_range(found: Precision) -> tuple[float, float]:
    """Return the 80 % chi-square interval of the standard error, which a few networks estimate only roughly."""
    low, high = (found.standard_error * sqrt(found.df / stats.chi2.isf(each, found.df)) for each in TAILS)
    return low, high


def _reaches(found: Precision) -> tuple[Floats, Floats]:
    """Return weights that sum to 1, and half the interval's width in true standard errors at each node."""
    ratio = np.sqrt(stats.chi2.ppf((_NODES + 1) / 2, found.df) / found.df)
    return _WEIGHTS / 2, float(stats.t.isf(found.point / 2, found.df)) * ratio


def _least(power_at: Callable[[float], float], power: float, scale: float) -> float:
    high = scale
    while power_at(high) < power:
        high *= 2
    return float(brentq(lambda x: power_at(x) - power, 0.0, high, xtol=1e-12))

"""A pilot: two networks on the same few folds -> how much their difference would vary with any number of folds.

With w[i] = +1 where only a is right on digit i, -1 where only b is, and 0 elsewhere, the difference of a fold is the
mean of w over the digits that it holds out. Over folds of m digits the differences vary by

    digits   = var_i(w[i]) / m         which digits are held out, and luck with single ones
    training = var_f(d[f]) - digits    what the fold's networks have in common on all digits, at least 0

Twice as many folds hold out half as many digits each: ``samples`` doubles, ``training`` stays. ``samples`` is known
from every digit, ``training`` from a handful of folds, so a plan counts on no less than ``samples``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.errors import InputError


@dataclass(frozen=True)
class Pilot:
    """Variances of the differences over ``folds`` folds of two networks."""

    folds: int
    samples: float
    training: float
    seen: float
    """The variance of the differences themselves; below ``samples`` where chance made them alike."""
    df: int | None
    """Degrees of freedom of ``seen``; None where it was given and not measured."""

    def sd(self, folds: int) -> float:
        """Return the standard deviation to plan for with so many folds."""
        return sqrt(self.training + self.samples * folds / self.folds)

    def sd_range(self, folds: int, *, level: float = 0.8) -> tuple[float, float] | None:
        """Return the interval of that deviation: a few folds know theirs only roughly. None where it was given.

        What is uncertain is ``seen`` (chi-square); no end lies below what the digits alone make.
        """
        if self.df is None:
            return None
        tail = (1 - level) / 2
        ends = (self.seen * self.df / stats.chi2.isf(each, self.df) for each in (tail, 1 - tail))
        low, high = (sqrt(max(0.0, end - self.samples) + self.samples * folds / self.folds) for end in ends)
        return low, high


def measured(discordance: Sequence[NDArray[np.int64]], *, folds: int) -> Pilot:
    """Return the pilot of two networks.

    Args:
        wins: for each fold that was trained, at least 2 of them, w of the digits that it holds out, (m,), m >= 2.
        folds: how many the fold table has, of which these are some, in one repeat or several.

    Raises:
        InputError: if there are too few folds or digits.
    """
    if len(discordance) < 2 or min(each.size for each in discordance) < 2:
        raise InputError(
            f"a pilot needs at least 2 folds of at least 2 digits, got {[each.size for each in discordance]} digits a "
            "fold; train more folds of both runs"
        )
    seen = float(np.var([each.mean() for each in discordance], ddof=1))
    samples = float(np.mean([each.var(ddof=1) / each.size for each in discordance]))
    return Pilot(folds, samples, max(0.0, seen - samples), seen, len(discordance) - 1)


def given(sd: float, *, folds: int) -> Pilot:
    """Return a pilot of a standard deviation of fold differences that somebody gives, all of it counted to the digits.

    That is the careful reading: more folds then promise little.

    Raises:
        InputError: if ``sd`` is not a positive number.
    """
    if not (np.isfinite(sd) and sd > 0):
        raise InputError(f"the standard deviation of fold differences must be a number > 0, got {sd}; 0.01 is usual")
    return Pilot(folds, sd**2, 0.0, sd**2, None)

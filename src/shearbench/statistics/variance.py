"""What stands behind a "±": the variance of one fold's accuracy, split into seed, data and fold.

With y[r, f, s] the accuracy of repeat r (a deal of the samples to folds), fold f and seed s, m held-out cases a fold,
and ybar[r, f] the mean over the seeds of a fold:

    seed = mean over r, f of var_s(y[r, f, :])          what only another seed changes
    data = mean of y (1 - y) / m                        what m cases can say at all (binomial)
    fold = mean over r of var_f(ybar[r, :]) - seed/S - data, at least 0
                                                        what other training samples change

(method of moments; var divides by n - 1). A seed is named by the fold it trains, so it is nested in the fold.
Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.5; Bouthillier et al., MLSys 2021.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from shearbench.errors import InputError


@dataclass(frozen=True)
class VarianceSplit:
    """Variances of one fold's accuracy, in units of its square."""

    total: float
    """Of one score: over folds within a repeat, with one seed."""
    seed: float | None
    """None with one seed a fold: it is then a part of ``fold``."""
    data: float
    fold: float
    note: str
    """What could not be told apart, and why; empty where everything could."""

    @property
    def sd(self) -> float:
        """The standard deviation of one score, the "±" of a table."""
        return sqrt(self.total)


def split_variance(accuracies: ArrayLike, *, cases: int) -> VarianceSplit:
    """Split the variance of the accuracies of one network on one dataset.

    Scores that do not vary give zeros, except for ``data``, which is 0 only at accuracies of 0 and 1.

    Args:
        accuracies: (repeats, folds, seeds), 0 to 1; at least 2 folds.
        cases: held out in each fold.

    Raises:
        InputError: if the shape or a value is wrong.
    """
    y = np.asarray(accuracies, dtype=np.float64)
    _check(y, cases)
    seeds = y.shape[2]
    data = float((y * (1 - y)).mean() / cases)
    between = float(y.mean(axis=2).var(axis=1, ddof=1).mean())
    seed = float(y.var(axis=2, ddof=1).mean()) if seeds > 1 else None
    of_seeds = 0.0 if seed is None else seed / seeds
    rest = between - of_seeds - data
    total = between if seed is None else max(0.0, between - of_seeds) + seed
    return VarianceSplit(total, seed, data, max(0.0, rest), _note(seed is None, rest < 0))


def _check(y: np.ndarray[tuple[int, ...], np.dtype[np.float64]], cases: int) -> None:
    if y.ndim != 3 or y.shape[1] < 2 or 0 in y.shape or cases < 1:
        raise InputError(
            f"a split of variance needs accuracies (repeats, folds, seeds) of at least 2 folds with at least 1 case, "
            f"got {y.shape} and {cases} cases; raise cv.folds in params.yaml"
        )
    if not ((y >= 0) & (y <= 1)).all():
        raise InputError(f"accuracies must lie between 0 and 1, got {y.min()} to {y.max()}; give fractions")


def _note(one_seed: bool, negative: bool) -> str:
    notes = []
    if one_seed:
        notes.append("one seed a fold, so the seed's share is part of fold's")
    if negative:
        notes.append("the folds vary less than their number of cases allows, so fold is set to 0")
    return "; ".join(notes)

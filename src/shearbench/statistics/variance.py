"""Split the variance of one fold's accuracy into data and training.

A fold's accuracy y[r, f] (repeat r, fold f) varies with the held-out digits (``data``) and with the training
(``training``), which has another seed and other digits. With m digits per fold, R repeats, n digits, and the share c[i]
of the R networks that predict digit i correctly,

    total    = mean over r of var_f(y[r, :])                           the square of what is printed after "±"
    data     = (var_i(c[i]) - mean_i(var_r(correct[r, i])) / R) / m    how much the digits themselves differ
    training = total - data

(method of moments, one-way random effects; var divides by its n - 1).

- With R = 1, hard digits cannot be separated from chance: ``data`` is then mean(y (1 - y) / (m - 1)), which counts
  both, an upper bound.
- Folds share training digits, so ``training`` is less than the effect of entirely new training digits. It is 0 where
  the folds vary less than the digits in them allow.

Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.5; Bouthillier et al., MLSys 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError


@dataclass(frozen=True)
class VarianceSplit:
    """Variances of one fold's accuracy, in units of its square; ``total`` is over the folds of a repeat."""

    total: float
    data: float
    training: float

    @property
    def sd(self) -> float:
        """The standard deviation of one fold's accuracy, the "±" of a table."""
        return sqrt(self.total)


def sd_over_folds(values: Sequence[float] | NDArray[np.float64], *, repeats: int = 1) -> float:
    """Return the "±" of a table: the standard deviation (n - 1) over the folds of a repeat.

    Of several repeats it is the root mean square. They hold out the same digits, so a deviation over all folds at once
    would be smaller.

    Args:
        values: one a network, repeat by repeat.
        repeats: at least 1.
    """
    scores = np.asarray(values, dtype=np.float64).reshape(repeats, -1)
    return float(np.sqrt(scores.var(axis=1, ddof=1).mean()))


def split_variance(correct: NDArray[np.bool_], folds: NDArray[np.int64]) -> VarianceSplit:
    """Split the variance of the fold accuracies of one network on one dataset.

    Args:
        correct: (repeats, n), whether the network that did not train on digit i reads it rightly.
        folds: (repeats, n), the fold that holds a digit out: 0 .. k-1 in every repeat, k >= 2, at least 2 digits each.

    Raises:
        InputError: if the shapes do not fit, or a fold holds too little.
    """
    sizes = _sizes(correct, folds)
    hits = [np.bincount(row, weights=right) for row, right in zip(folds, correct, strict=True)]
    y = np.array(hits) / sizes
    total = float(y.var(axis=1, ddof=1).mean())
    if len(correct) > 1:
        data = _between_digits(correct) * float((1 / sizes).mean())
    else:
        data = float((y * (1 - y) / (sizes - 1)).mean())
    return VarianceSplit(total, data, max(0.0, total - data))


def _sizes(correct: NDArray[np.bool_], folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of digits in each fold, (repeats, folds)."""
    if correct.ndim != 2 or correct.shape != folds.shape or correct.size == 0 or correct.dtype != np.bool_:
        raise InputError(
            "a split of variance needs boolean correctness (repeats, n) and folds of the same shape, got "
            f"{correct.dtype} {correct.shape} and {folds.shape}; give the predictions of whole repeats"
        )
    sizes = np.array([np.bincount(row, minlength=int(folds.max()) + 1) for row in folds])
    if sizes.shape[1] < 2 or sizes.min() < 2:
        raise InputError(
            f"a split of variance needs at least 2 folds of at least 2 digits, got {sizes.tolist()}; use more digits"
        )
    return sizes


def _between_digits(correct: NDArray[np.bool_]) -> float:
    """Return the variance between digits of the probability to be read rightly; ``correct`` is (networks, n)."""
    networks = len(correct)
    # The mean over few networks varies by chance too, which would count as a difference between digits.
    luck = correct.var(axis=0, ddof=1).mean() / networks
    return max(0.0, float(correct.mean(axis=0).var(ddof=1) - luck))

"""Split the variance of one fold's accuracy into data and training.

A fold's accuracy y[r, f] (repeat r, fold f) varies with the held-out samples (``data``) and with the training
(``training``), which has another seed and other samples. With m samples per fold, R repeats, n samples, and the share
c[i] of the R networks that predict sample i correctly,

    total    = mean over r of var_f(y[r, :])                           the square of the printed "±"
    data     = (var_i(c[i]) - mean_i(var_r(correct[r, i])) / R) / m    differences between the samples
    training = total - data

(method of moments, one-way random effects; var divides by its n - 1).

- With R = 1, hard samples cannot be separated from chance: ``data`` is then mean(y (1 - y) / (m - 1)), an upper bound
  that includes both.
- Folds share training samples, so ``training`` is less than the effect of entirely new training samples. It is 0 if the
  folds vary less than their samples explain.

Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.5; Bouthillier et al., MLSys 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError


@dataclass(frozen=True)
class VarianceSplit:
    """Variances of one fold's accuracy, in units of its square; ``total`` is over the folds of a repeat."""

    total: float
    data: float
    training: float


def sd_over_folds(values: Sequence[float] | NDArray[np.float64], *, repeats: int = 1) -> float:
    """Return the "±" of a table: the standard deviation (n - 1) over the folds of a repeat.

    For several repeats it is the root mean square: they hold out the same samples, so a deviation over all folds at
    once would be smaller. ``values`` has one per network, repeat by repeat.
    """
    scores = np.asarray(values, dtype=np.float64).reshape(repeats, -1)
    return float(np.sqrt(scores.var(axis=1, ddof=1).mean()))


def split_variance(correct: NDArray[np.bool_], folds: NDArray[np.int64]) -> VarianceSplit:
    """Split the variance of the fold accuracies of one model on one dataset.

    Args:
        correct: (repeats, n), whether the network that did not train on sample i predicts it correctly.
        folds: (repeats, n), the fold that holds sample i out: 0 .. k-1 in every repeat.

    Raises:
        InputError: if the shapes do not fit, or a fold has too few samples.
    """
    if correct.ndim != 2 or correct.shape != folds.shape or correct.size == 0 or correct.dtype != np.bool_:
        raise InputError(
            "a split of variance needs boolean correctness (repeats, n) and folds of the same shape, got "
            f"{correct.dtype} {correct.shape} and {folds.shape}; give the predictions of whole repeats"
        )
    sizes = np.array([np.bincount(row, minlength=int(folds.max()) + 1) for row in folds])
    if sizes.shape[1] < 2 or sizes.min() < 2:
        raise InputError(
            f"a split of variance needs at least 2 folds of at least 2 samples, got {sizes.tolist()}; use more samples"
        )
    hits = [np.bincount(row, weights=right) for row, right in zip(folds, correct, strict=True)]
    y = np.array(hits) / sizes
    total = float(y.var(axis=1, ddof=1).mean())
    if len(correct) == 1:
        data = float((y * (1 - y) / (sizes - 1)).mean())
    else:
        # The mean over few networks varies by chance too, which would count as a difference between samples.
        luck = correct.var(axis=0, ddof=1).mean() / len(correct)
        data = max(0.0, float(correct.mean(axis=0).var(ddof=1) - luck)) * float((1 / sizes).mean())
    return VarianceSplit(total, data, max(0.0, total - data))

"""Split the variance of one fold's accuracy into data, training, seed and fold.

A fold's accuracy y[r, f, s] (repeat r, fold f, seed s) varies with the held-out digits (``data``) and with the training
(``training``), which has another seed (``seed``) and other digits (``fold``). With m digits per fold, Q = repeats *
seeds networks that predict each of the n digits, and the share c[i] of them that predict digit i correctly,

    total    = mean over r, s of var_f(y[r, :, s])                     the square of what is printed after "±"
    data     = (var_i(c[i]) - mean_i(var_q(correct[q, i])) / Q) / m    how much the digits themselves differ
    training = total - data
    seed     = mean over r, f of var_s(y[r, f, :])
    fold     = training - seed

(method of moments, one-way random effects; var divides by its n - 1).

- With Q = 1, hard digits cannot be separated from chance: ``data`` is then mean(y (1 - y) / (m - 1)), which counts
  both, an upper bound.
- The seed of a training depends on its fold, so with one seed per fold ``seed`` and ``fold`` cannot be separated.
- Folds share training digits, so ``training`` is less than the effect of entirely new training digits.

Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.5; Bouthillier et al., MLSys 2021.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError

_ONE_PREDICTION = "each digit is predicted once, so data is an upper bound that counts the luck of single digits"
_ONE_SEED = "one seed a fold, so what the seed and what other training digits change is told apart no further"
_LITTLE = "the folds vary less than the digits in them allow, so training is set to 0"
_SEED_ALONE = "the folds vary no more than digits and seeds explain, so fold is set to 0"


@dataclass(frozen=True)
class VarianceSplit:
    """Variances of one fold's accuracy, in units of its square; their sum is ``total`` but where ``note`` says not."""

    total: float
    """Over the folds of a repeat, with one seed each."""
    data: float
    training: float
    seed: float | None
    """None with one seed a fold."""
    fold: float | None
    """None with one seed a fold."""
    note: str
    """The parts that could not be separated, and why; empty if all could."""

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
        correct: (repeats, seeds, n), whether the network that did not train on digit i reads it rightly.
        folds: (repeats, n), the fold that holds a digit out: 0 .. k-1 in every repeat, k >= 2, at least 2 digits each.

    Raises:
        InputError: if the shapes do not fit, or a fold holds too little.
    """
    sizes = _sizes(correct, folds)
    y = _accuracies(correct, folds, sizes)
    repeats, seeds, _ = correct.shape
    total = float(y.var(axis=1, ddof=1).mean())
    if repeats * seeds > 1:
        data = _between_digits(correct.reshape(repeats * seeds, -1)) * float((1 / sizes).mean())
    else:
        data = float((y * (1 - y) / (sizes[..., None] - 1)).mean())
    training = max(0.0, total - data)
    seed = float(y.var(axis=2, ddof=1).mean()) if seeds > 1 else None
    fold = None if seed is None else max(0.0, training - seed)
    notes = {
        _ONE_PREDICTION: repeats * seeds == 1,
        _ONE_SEED: seed is None,
        _LITTLE: total < data,
        _SEED_ALONE: seed is not None and training < seed,
    }
    return VarianceSplit(total, data, training, seed, fold, "; ".join(note for note, holds in notes.items() if holds))


def _sizes(correct: NDArray[np.bool_], folds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of digits in each fold, (repeats, folds)."""
    fits = correct.ndim == 3 and folds.ndim == 2 and correct.shape[::2] == folds.shape and correct.size > 0
    if not fits or correct.dtype != np.bool_:
        raise InputError(
            "a split of variance needs boolean correctness (repeats, seeds, n) and folds (repeats, n), got "
            f"{correct.dtype} {correct.shape} and {folds.shape}; give the predictions of whole repeats"
        )
    sizes = np.array([np.bincount(row, minlength=int(folds.max()) + 1) for row in folds])
    if sizes.shape[1] < 2 or sizes.min() < 2:
        raise InputError(
            f"a split of variance needs at least 2 folds of at least 2 digits, got {sizes.tolist()}; use more digits"
        )
    return sizes


def _accuracies(correct: NDArray[np.bool_], folds: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the accuracies, (repeats, folds, seeds)."""
    hits = [[np.bincount(row, weights=seed) for seed in seeds] for row, seeds in zip(folds, correct, strict=True)]
    return np.moveaxis(np.array(hits), 1, 2) / sizes[..., None]


def _between_digits(correct: NDArray[np.bool_]) -> float:
    """Return the variance between digits of the probability to be read rightly; ``correct`` is (networks, n)."""
    networks = len(correct)
    # The mean over few networks varies by chance too, which would count as a difference between digits.
    luck = correct.var(axis=0, ddof=1).mean() / networks
    return max(0.0, float(correct.mean(axis=0).var(ddof=1) - luck))

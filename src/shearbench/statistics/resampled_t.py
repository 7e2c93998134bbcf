"""The corrected resampled t-test of Nadeau and Bengio: fold scores of two models -> difference, interval, p value.

The folds of a cross-validation share training samples, so their scores are correlated and the naive paired t-test
rejects a true null far too often (14 % instead of 5 % with 5 folds). With n = folds * repeats differences d_i of
standard deviation s, the corrected standard error is

    s * sqrt(1/n + n_test/n_train),

and t = mean(d) / standard error has n - 1 degrees of freedom. For all folds of a cross-validation n_test/n_train is
1/(folds - 1); if only some of the folds were trained, the caller gives it. The test is exact for normal d_i with
correlation rho = 1/folds, because 1/n + rho/(1 - rho) is then the same sum.

Accuracies move in steps of one sample, so equal differences are not certainty: if ``step`` is given, s is at least
``step``.

Source: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003), eq. 9;
for repeats Bouckaert and Frank (2004).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from shearbench.errors import InputError

Differences = NDArray[np.float64]
"""Score differences a - b, (repeats, folds)."""

_ROUNDING = 8 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class CorrectedT:
    """The difference of two models over folds; all but ``t``, ``p`` and the counts are in units of the score."""

    difference: float
    """Mean of a - b over folds and repeats."""
    sd: float
    """Sample standard deviation of the differences, s; 0 if they do not vary beyond rounding."""
    standard_error: float
    low: float
    high: float
    """Bounds of the two-sided interval at ``level``."""
    t: float | None
    """None if the differences do not vary."""
    p: float
    """Two-sided."""
    level: float
    folds: int
    repeats: int

    @property
    def df(self) -> int:
        """Degrees of freedom of t."""
        return self.folds * self.repeats - 1


def corrected_t(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    *,
    level: float = 0.95,
    test_to_train: float | None = None,
    step: float = 0.0,
) -> CorrectedT:
    """Compare two models on the same folds.

    Without ``step``, differences that do not vary give the limit of s -> 0: the interval is the point itself, and p is
    1 if all are zero (identical models) and 0 otherwise.

    Args:
        scores_a: (folds,) or (repeats, folds); each repeat is another assignment of the samples to folds.
        scores_b: of the same shape, from the same folds.
        level: of the interval, 0 to 1.
        test_to_train: n_test/n_train, by default 1/(folds - 1).
        step: the smallest change of a score, one sample's share of a fold; s is at least this.

    Raises:
        InputError: if shapes differ, a score is not finite, or there are fewer than two folds.
    """
    d = paired_differences(scores_a, scores_b)
    repeats, folds = d.shape
    mean, s = float(d.mean()), max(spread(d), step)
    if s == 0.0:
        return CorrectedT(mean, 0.0, 0.0, mean, mean, None, float(mean == 0.0), level, folds, repeats)
    error = s * error_factor(folds, repeats, test_to_train=test_to_train)
    reach = float(stats.t.isf((1 - level) / 2, d.size - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, d.size - 1))
    return CorrectedT(mean, s, error, mean - reach, mean + reach, mean / error, p, level, folds, repeats)


def paired_differences(scores_a: ArrayLike, scores_b: ArrayLike) -> Differences:
    """Return a - b as (repeats, folds), 0 where the scores differ by rounding only; see :func:`corrected_t`."""
    a, b = (np.atleast_2d(np.asarray(scores, dtype=np.float64)) for scores in (scores_a, scores_b))
    if a.shape != b.shape or a.ndim != 2:
        raise InputError(
            f"scores must be (repeats, folds) of the same folds, got {a.shape} and {b.shape}; "
            "compare networks that were trained with the same cv in params.yaml"
        )
    if a.shape[1] < 2 or a.shape[0] < 1:
        raise InputError(f"a comparison needs at least 2 folds, got {a.shape[1]}; raise cv.folds in params.yaml")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("scores must be finite, got NaN or infinity; remove the damaged record and run `dvc repro`")
    difference = a - b
    difference[np.abs(difference) <= _ROUNDING * np.maximum(np.abs(a), np.abs(b))] = 0.0
    return difference


def spread(values: NDArray[np.float64]) -> float:
    """Return the sample standard deviation; exactly 0 if values of size up to 1 differ by rounding only."""
    alike = np.ptp(values) <= _ROUNDING * max(1.0, float(np.abs(values).max()))
    return 0.0 if alike else float(values.std(ddof=1))


def error_factor(folds: int, repeats: int, *, test_to_train: float | None = None) -> float:
    """Return standard error / s = sqrt(1/(folds * repeats) + n_test/n_train), by default 1/(folds - 1)."""
    return sqrt(1 / (folds * repeats) + (1 / (folds - 1) if test_to_train is None else test_to_train))

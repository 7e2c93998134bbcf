"""Correlated t-tests of fold scores: the corrected resampled t of two models, and its Bayesian counterpart.

The folds of a cross-validation share training samples, so their scores are correlated and the naive paired t-test
rejects a true null far too often (14 % instead of 5 % with 5 folds). With n = folds * repeats differences d_i of
standard deviation s, the corrected standard error is

    s * sqrt(1/n + n_test/n_train),

and t = mean(d) / standard error has n - 1 degrees of freedom. For all folds of a cross-validation n_test/n_train is
1/(folds - 1). The test is exact for normal d_i with correlation rho = 1/folds, because 1/n + rho/(1 - rho) is then the
same sum. The Bayesian posterior of the mean difference has the same mean, standard error and degrees of freedom; its
mass is split at the region of practical equivalence, -rope to +rope.

Sources: Nadeau and Bengio, Inference for the generalization error, Machine Learning 52 (2003), eq. 9; for repeats
Bouckaert and Frank (2004); Benavoli, Corani, Demsar and Zaffalon, Time for a change, JMLR 18 (2017), section 3.
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
    sd: float
    """Sample standard deviation of the differences, s; 0 if they do not vary beyond rounding."""
    standard_error: float
    low: float
    high: float
    t: float | None
    """None if the differences do not vary."""
    p: float
    """Two-sided."""
    folds: int
    repeats: int


@dataclass(frozen=True)
class RopeProbabilities:
    """Posterior probabilities of the true difference a - b; they sum to 1."""

    worse: float
    """P(difference < -rope)."""
    equivalent: float
    """P(-rope <= difference <= rope)."""
    better: float
    """P(difference > rope)."""
    rope: float


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
        step: the smallest change of a score, one sample's share of a fold. s is at least this, since equal
            differences of scores that move in steps are not certainty.

    Raises:
        InputError: if shapes differ, a score is not finite, or there are fewer than two folds.
    """
    d = paired_differences(scores_a, scores_b)
    repeats, folds = d.shape
    mean, s = float(d.mean()), max(spread(d), step)
    if s == 0.0:
        return CorrectedT(mean, 0.0, 0.0, mean, mean, None, float(mean == 0.0), folds, repeats)
    error = s * error_factor(folds, repeats, test_to_train=test_to_train)
    reach = float(stats.t.isf((1 - level) / 2, d.size - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, d.size - 1))
    return CorrectedT(mean, s, error, mean - reach, mean + reach, mean / error, p, folds, repeats)


def correlated_t(scores_a: ArrayLike, scores_b: ArrayLike, *, rope: float) -> RopeProbabilities:
    """Return the posterior probabilities that model a is worse than, equivalent to or better than model b.

    If the differences do not vary, all mass is on their value: identical models are equivalent with probability 1, or,
    if ``rope`` is 0, worse and better with probability 1/2 each.

    Args:
        scores_a: see :func:`corrected_t`.
        scores_b: of the same shape, from the same folds.
        rope: half-width of the region of practical equivalence, in units of the score.

    Raises:
        InputError: if ``rope`` is negative or not finite, or :func:`corrected_t` refuses the scores.
    """
    from baycomp.single import CorrelatedTTest, Posterior  # takes a second to load

    if not (np.isfinite(rope) and rope >= 0):
        raise InputError(
            f"the region of practical equivalence must be a finite number >= 0, got {rope}; correct compare.rope"
        )
    d = paired_differences(scores_a, scores_b)
    if spread(d) == 0.0:
        posterior = Posterior(float(d.mean()), 0.0, d.size - 1, rope)
    else:  # baycomp's own difference is second minus first
        posterior = CorrelatedTTest(np.zeros(d.size), d.ravel(), rope, runs=len(d))
    worse, *inside, better = (float(share) for share in posterior.probs())
    return RopeProbabilities(worse, max(0.0, sum(inside)), better, rope)


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

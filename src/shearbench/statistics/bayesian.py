"""The Bayesian correlated t-test: fold scores -> probabilities that a model is worse, equivalent or better.

The posterior of the mean difference is Student's t with the mean, standard error and degrees of freedom of
``resampled_t``; its mass is split at the region of practical equivalence, -rope to +rope. baycomp computes it.

Source: Benavoli, Corani, Demsar and Zaffalon, Time for a change, JMLR 18 (2017), section 3.
"""

from dataclasses import dataclass

import numpy as np
from baycomp.single import CorrelatedTTest, Posterior
from numpy.typing import ArrayLike

from shearbench.errors import InputError
from shearbench.statistics.resampled_t import paired_differences, spread


@dataclass(frozen=True)
class RopeProbabilities:
    """Posterior probabilities of the true difference a - b; they sum to 1."""

    worse: float
    """P(difference < -rope), P(left)."""
    equivalent: float
    """P(-rope <= difference <= rope)."""
    better: float
    """P(difference > rope), P(right)."""
    rope: float


def correlated_t(scores_a: ArrayLike, scores_b: ArrayLike, *, rope: float) -> RopeProbabilities:
    """Return the posterior probabilities that model a is worse than, equivalent to or better than model b.

    If the differences do not vary, all mass is on their value: identical models are equivalent with probability 1.
    If ``rope`` is 0, no models are equivalent; identical models are then worse and better with probability 1/2 each.

    Args:
        scores_a: (folds,) or (repeats, folds).
        scores_b: of the same shape, from the same folds.
        rope: half-width of the region of practical equivalence, in units of the score, declared before the run.

    Raises:
        InputError: if ``rope`` is negative or not finite, or :func:`resampled_t.corrected_t` refuses the scores.
    """
    if not (np.isfinite(rope) and rope >= 0):
        raise InputError(
            f"the region of practical equivalence must be a finite number >= 0, got {rope}; correct compare.rope"
        )
    d = paired_differences(scores_a, scores_b)
    posterior = _posterior(d, rope)
    worse, *inside, better = (float(share) for share in posterior.probs())
    return RopeProbabilities(worse, max(0.0, sum(inside)), better, rope)


def _posterior(d: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rope: float) -> Posterior:
    """Return baycomp's posterior of d, (repeats, folds); baycomp's own difference is second minus first."""
    if spread(d) == 0.0:
        return Posterior(float(d.mean()), 0.0, d.size - 1, rope)
    return CorrelatedTTest(np.zeros(d.size), d.ravel(), rope, runs=len(d))

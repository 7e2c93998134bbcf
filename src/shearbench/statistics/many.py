"""What the comparison's tests decide in many worlds at once, for simulated nulls; each as its function for one decides.

Worlds differ along the first axis. Which of the networks of a and b are right on a case is summed up by
``discordance``, the networks of a minus the networks of b that are: :func:`decide_on_cases` and the like take how many
cases have which.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import stdtr

from shearbench.statistics.bootstrap import sums_of_draws
from shearbench.statistics.resampled_t import error_factor, spreads

_NEGLIGIBLE = 1e-13
_LEAST = 1e-300

Floats = NDArray[np.float64]
Decisions = NDArray[np.bool_]


def rope_probabilities(differences: Floats, *, rope: float) -> Floats:
    """Return P(worse), P(equivalent), P(better) as ``bayesian.correlated_t`` does.

    Args:
        differences: of fold scores, (worlds, repeats, folds), which vary.
        rope: half-width of the region of equivalence.

    Returns:
        (worlds, 3).
    """
    worlds, repeats, folds = differences.shape
    d = differences.reshape(worlds, -1)
    mean, error, df = d.mean(axis=1), spreads(d) * error_factor(folds, repeats), d.shape[1] - 1
    worse, better = stats.t.cdf((-rope - mean) / error, df), stats.t.sf((rope - mean) / error, df)
    return np.stack([worse, 1 - worse - better, better], axis=1)


def cases_exclude_zero(counts: NDArray[np.int64], *, level: float) -> Decisions:
    """Return where the interval of ``bootstrap.bootstrap_cases`` excludes zero.

    Args:
        counts: (worlds, 2 k + 1), how many cases have -k, ..., k wins.
        level: of the interval, 0 to 1.
    """
    sums, zero = _sums(counts)
    tail = (1 - level) / 2 - _NEGLIGIBLE
    below, above = sums[:, : zero + 1].sum(axis=1), sums[:, zero:].sum(axis=1)
    excluded: Decisions = np.minimum(below, above) < tail
    return excluded


def folds_and_cases_exclude_zero(counts: NDArray[np.int64], differences: Floats, *, level: float) -> Decisions:
    """Return where the interval of ``bootstrap.bootstrap_folds_and_cases`` excludes zero.

    Args:
        counts: (worlds, 2 k + 1), how many cases have -k, ..., k wins, over k networks of each.
        differences: of the accuracies of the k fold networks, (worlds, repeats, folds).
        level: of the interval, 0 to 1.
    """
    _, repeats, folds = differences.shape
    error = spreads(differences.reshape(len(counts), -1)) * error_factor(folds, repeats)
    error = np.maximum(error, _LEAST)  # folds that do not vary: the limit
    sums, zero = _sums(counts)
    reached = np.flatnonzero(sums.any(axis=0))
    values = (reached - zero) / (counts[0].sum() * (counts.shape[1] // 2))
    steps = values / error[:, np.newaxis]
    df = repeats * folds - 1
    below = (sums[:, reached] * stdtr(df, -steps)).sum(axis=1)
    above = (sums[:, reached] * stdtr(df, steps)).sum(axis=1)
    excluded: Decisions = np.minimum(below, above) < (1 - level) / 2
    return excluded


def _sums(counts: NDArray[np.int64]) -> tuple[Floats, int]:
    """Return the distribution of the resampled sum of wins, and where in it the sum 0 is."""
    return sums_of_draws(counts), int(counts[0].sum()) * (counts.shape[1] // 2)

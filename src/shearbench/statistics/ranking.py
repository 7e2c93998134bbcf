"""Ranking networks over several datasets: Friedman's test, and Nemenyi's critical difference of mean ranks.

Rank 1 is best; ties share their mean rank. With N datasets and k networks two mean ranks differ at level alpha where
they are further apart than

    CD = q_alpha * sqrt(k (k + 1) / (6 N)),    q_alpha = studentized range quantile (k groups, df = infinity) / sqrt(2),

provided that Friedman's test, which asks whether any network differs, rejects. Datasets made from the same digits are
not independent; the ranking then describes and does not generalise. Source: Demsar, JMLR 7 (2006), section 3.2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from shearbench.errors import InputError

LEAST_DATASETS = 5
"""Below it the chi-square approximation of Friedman's test is too coarse to print a p value."""


@dataclass(frozen=True)
class Ranking:
    """Networks in the order given, with their mean ranks."""

    networks: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    datasets: int
    friedman: float
    p: float
    """Of Friedman's test; 1 where every dataset ties all networks."""
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    """The largest sets, best first, that are not told apart: the bars of the critical-difference figure."""
    alpha: float


@dataclass(frozen=True)
class NoRanking:
    """Why there is no ranking."""

    reason: str


def rank_networks(scores: ArrayLike, networks: Sequence[str], *, alpha: float = 0.05) -> Ranking | NoRanking:
    """Rank networks by their scores, higher is better.

    Args:
        scores: (datasets, networks), finite.
        networks: their names.
        alpha: of both tests.

    Returns:
        The ranking, or the reason why these datasets do not allow one.

    Raises:
        InputError: if the shape does not fit the names or a score is not finite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(networks) or not np.isfinite(table).all():
        raise InputError(
            f"a ranking needs finite scores (datasets, {len(networks)}), got {table.shape}; "
            "train every network on every dataset that is to be ranked"
        )
    reason = _too_few(len(table), len(networks), alpha)
    if reason:
        return NoRanking(reason)
    statistic, p = _friedman(table)
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    gap = critical_difference(len(table), len(networks), alpha)
    groups = _groups(ranks, networks, gap if p < alpha else np.inf)
    return Ranking(tuple(networks), tuple(float(r) for r in ranks), len(table), statistic, p, gap, groups, alpha)


def critical_difference(datasets: int, networks: int, alpha: float = 0.05) -> float:
    """Return Nemenyi's critical difference of two mean ranks."""
    return _q(networks, alpha) * sqrt(networks * (networks + 1) / (6 * datasets))


@cache  # a numerical integral, slow
def _q(networks: int, alpha: float) -> float:
    return float(stats.studentized_range.isf(alpha, networks, np.inf)) / sqrt(2)


def _too_few(datasets: int, networks: int, alpha: float) -> str:
    if networks < 3:
        return f"a ranking needs at least 3 networks, here are {networks}: see the pairwise comparison"
    if datasets < LEAST_DATASETS:
        return (
            f"a ranking over datasets needs at least {LEAST_DATASETS} of them, here are {datasets}: "
            "see the comparison of each dataset"
        )
    gap = critical_difference(datasets, networks, alpha)
    if gap >= networks - 1:
        return (
            f"with {networks} networks on {datasets} datasets mean ranks must differ by {gap:.2f}, but cannot by "
            f"more than {networks - 1}"
        )
    return ""


def _friedman(table: NDArray[np.float64]) -> tuple[float, float]:
    if (np.ptp(table, axis=1) == 0).all():
        return 0.0, 1.0
    result = stats.friedmanchisquare(*table.T)
    return float(result.statistic), float(result.pvalue)


def _groups(ranks: NDArray[np.float64], networks: Sequence[str], gap: float) -> tuple[tuple[str, ...], ...]:
    """Return the maximal runs of the ranking that are no wider than ``gap``."""
    order = np.argsort(ranks, kind="stable")
    ends = [int((ranks[order] <= ranks[first] + gap).sum()) for first in order]
    runs = [(start, end) for start, end in enumerate(ends) if start == 0 or end > ends[start - 1]]
    return tuple(tuple(networks[i] for i in order[start:end]) for start, end in runs)

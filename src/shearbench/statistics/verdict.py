"""The verdict on a pair, one of four words, with the rule behind it.

The region of equivalence (rope) and alpha are declared before the run. A verdict of "better" excludes chance,
multiplicity and a difference that lies within the region.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal

import numpy as np
from scipy import stats

from shearbench.statistics.resampled_t import RopeProbabilities

Word = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on ``a`` against ``b``, with the rule behind it."""

    word: Word
    rule: str


def holm(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p values in the order given: m - i + 1 times the i-th smallest of m, non-decreasing, at most 1.

    A family that rejects those below alpha has a false claim with probability alpha at most.
    Source: Holm, Scandinavian Journal of Statistics 6 (1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return [float(value) for value in adjusted]


def decide(p_holm: float, probabilities: RopeProbabilities, *, alpha: float = 0.05) -> Verdict:
    """Return the verdict on a against b.

    equivalent: P(equivalent) >= 1 - alpha, by the Bayesian correlated t-test. Otherwise better (worse): P(better)
    (P(worse)) >= 1 - alpha, and the Holm-adjusted p of the corrected resampled t-test < alpha. Otherwise undecided.
    """
    needed = 1 - alpha
    if probabilities.equivalent >= needed:
        small = f"; there is a difference (Holm p = {p_holm:.3g} < {alpha:g}), too small to matter"
        rule = f"P(within {probabilities.rope:g}) = {probabilities.equivalent:.3f} >= {needed:g}"
        return Verdict("equivalent", f"{rule}{small if p_holm < alpha else ''}")
    word: Word = "better" if probabilities.better >= probabilities.worse else "worse"
    share = max(probabilities.better, probabilities.worse)
    seen = f"P({word} by more than {probabilities.rope:g}) = {share:.3f}"
    if share >= needed and p_holm < alpha:
        return Verdict(word, f"{seen} >= {needed:g} and Holm p = {p_holm:.3g} < {alpha:g}")
    if share >= needed:
        return Verdict("undecided", f"{seen} >= {needed:g}, but Holm p = {p_holm:.3g} >= {alpha:g}")
    if p_holm < alpha:
        return Verdict(
            "undecided",
            f"a difference (Holm p = {p_holm:.3g} < {alpha:g}), but {seen} < {needed:g}: it may be too small to matter",
        )
    return Verdict(
        "undecided",
        f"{seen} and P(equivalent) = {probabilities.equivalent:.3f}, both < {needed:g}; Holm p = {p_holm:.3g}",
    )


def decide_by_interval(
    low: float, high: float, *, rope: float, p_adjusted: float, alpha: float = 0.05, family: int = 1
) -> Verdict:
    """Return the verdict on a against b from the interval of a - b that holds for all pairs of a family at once.

    equivalent: the interval lies within -rope to +rope. Otherwise better (worse): it lies above (below) 0. Otherwise
    undecided. All verdicts of a family are correct at once with probability 1 - alpha, because each interval then
    contains the true difference; no verdict needs a further adjustment for multiplicity. ``p_adjusted`` and ``family``,
    the number of pairs, are for the text of the rule.
    """
    assert low <= high, (low, high)
    many, p = (f" for {family} pairs at once", "adjusted p") if family > 1 else ("", "p")
    span = f"{100 * (1 - alpha):g} % interval{many} {100 * low:+.2f} to {100 * high:+.2f} points"
    region = f"{100 * rope:g} points"
    if -rope <= low and high <= rope:
        real = low > 0 or high < 0
        small = f"; there is a difference ({p} = {p_adjusted:.3g}), too small to matter" if real else ""
        return Verdict("equivalent", f"{span}: within {region} of 0{small}")
    if low > 0 or high < 0:
        side: Word = "better" if low > 0 else "worse"
        return Verdict(side, f"{span}: {'above' if low > 0 else 'below'} 0 ({p} = {p_adjusted:.3g})")
    return Verdict("undecided", f"{span}: holds 0, and is not within {region} of it")


def decide_unpaired(a: tuple[float, float, float], b: tuple[float, float, float], *, rope: float) -> Verdict:
    """Return the verdict on two independent means, each given as (mean, standard error, df).

    The interval of the difference is Welch's, with Satterthwaite's degrees of freedom. If both errors are 0, it is the
    difference itself. Overlap of the intervals of the two means is no verdict: it can hide a difference.
    """
    difference, variances = a[0] - b[0], (a[1] ** 2, b[1] ** 2)
    error, variance_of_variance = sqrt(sum(variances)), variances[0] ** 2 / a[2] + variances[1] ** 2 / b[2]
    df = sum(variances) ** 2 / variance_of_variance if variance_of_variance else inf
    reach = float(stats.t.isf(0.025, df)) * error
    p = float(2 * stats.t.sf(abs(difference) / error, df)) if error else float(difference == 0)
    return decide_by_interval(difference - reach, difference + reach, rope=rope, p_adjusted=p)


def equal_spreads_p(a: tuple[float, int], b: tuple[float, int]) -> float:
    """Return the two-sided p value of the F test that two standard deviations are equal, each (deviation, n values)."""
    tail = float(stats.f.cdf((a[0] / b[0]) ** 2, a[1] - 1, b[1] - 1))
    return 2 * min(tail, 1 - tail)


def reversed_verdict(word: Word) -> Word:
    """Return the verdict on b against a from ``word``, the verdict on a against b."""
    seen_from_b: dict[Word, Word] = {"better": "worse", "worse": "better"}
    return seen_from_b.get(word, word)

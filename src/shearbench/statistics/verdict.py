"""Evidence -> one of four words, and the rule that gave it.

The region of equivalence (rope) and alpha are declared before the run. "Better" takes two witnesses, so that it is
never said of a difference that chance or multiplicity explains, nor of one too small to matter.
"""

from dataclasses import dataclass
from typing import Literal

from shearbench.statistics.bayesian import RopeProbabilities

Word = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """What may be said of ``a`` against ``b``, and why."""

    word: Word
    rule: str


def decide(p_holm: float, probabilities: RopeProbabilities, *, alpha: float = 0.05) -> Verdict:
    """Return the verdict on a against b.

    equivalent: P(equivalent) >= 1 - alpha. Otherwise better (worse): P(better) (P(worse)) >= 1 - alpha and
    p_holm < alpha. Otherwise undecided.

    Args:
        p_holm: Holm-adjusted p value of the corrected resampled t-test.
        probabilities: of the Bayesian correlated t-test.
        alpha: accepted share of false claims, 0 to 1.
    """
    needed = 1 - alpha
    if probabilities.equivalent >= needed:
        return Verdict("equivalent", _equivalent_rule(p_holm, probabilities, alpha))
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


def turned(word: Word) -> Word:
    """Return the verdict on b against a, where ``word`` is the one on a against b."""
    seen_from_b: dict[Word, Word] = {"better": "worse", "worse": "better"}
    return seen_from_b.get(word, word)


def _equivalent_rule(p_holm: float, probabilities: RopeProbabilities, alpha: float) -> str:
    rule = f"P(within {probabilities.rope:g}) = {probabilities.equivalent:.3f} >= {1 - alpha:g}"
    if p_holm < alpha:
        return f"{rule}; there is a difference (Holm p = {p_holm:.3g} < {alpha:g}), too small to matter"
    return rule

"""How often a test claims a difference where there is none: counts -> rate, interval and whether the claim holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shearbench.statistics.pairs import Comparison
from shearbench.statistics.proportions import wilson

TOLERANCE = 0.015
"""How far a measured rate may lie from a claimed 5 %."""

Claim = Literal["equal", "at most", "none"]


@dataclass(frozen=True)
class FalsePositiveRate:
    """A test's rate of false claims under a null; ``none`` marks what is measured as a warning, not used."""

    test: str
    null: str
    claim: Claim
    alpha: float
    trials: int
    false_positives: int

    @property
    def rate(self) -> float:
        """False positives / trials."""
        return self.false_positives / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate; it takes trials for independent."""
        return wilson(self.rate, self.trials)

    @property
    def holds(self) -> bool | None:
        """Whether the rate is what is claimed, within ``TOLERANCE``; None where nothing is claimed."""
        if self.claim == "none":
            return None
        too_many = self.rate > self.alpha + TOLERANCE
        too_few = self.claim == "equal" and self.rate < self.alpha - TOLERANCE
        return not (too_many or too_few)


def of_same_network(comparisons: Sequence[Comparison], *, alpha: float) -> tuple[FalsePositiveRate, ...]:
    """Return the rates of a network compared with itself under other seeds (A/A), test by test.

    Trials count as independent only if no run stands in two comparisons: pair the seeds off. "At most", as fold scores
    of other seeds are less correlated than the correction allows for. McNemar and the bootstrap over cases judge
    trained networks, and those do differ between seeds, so nothing is claimed for them here.

    Args:
        comparisons: at least one, from ``pairs.compare_pair``.
        alpha: of the tests.
    """
    claims: dict[str, tuple[Claim, list[bool]]] = {
        "corrected t": ("at most", [each.cross_validation.p < alpha for each in comparisons]),
        "verdict better or worse": (
            "at most",
            [each.verdict.word in ("better", "worse") for each in comparisons],
        ),
        "bootstrap, folds and cases": (
            "at most",
            [each.test_folds_and_cases.excludes_zero for each in comparisons],
        ),
        "bootstrap, cases": ("none", [each.test_cases.excludes_zero for each in comparisons]),
        "McNemar over folds": ("none", [each.mcnemar.p < alpha for each in comparisons]),
    }
    return tuple(
        FalsePositiveRate(test, "the same network, other seeds", claim, alpha, len(rejected), sum(rejected))
        for test, (claim, rejected) in claims.items()
    )

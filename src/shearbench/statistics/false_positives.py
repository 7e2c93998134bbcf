"""False-positive rate of a test: counts -> rate, interval, and whether the claim holds."""

from dataclasses import dataclass
from typing import Any, Literal

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


def row(rate: FalsePositiveRate) -> dict[str, Any]:
    """Return a rate as one flat row; ``low`` and ``high`` bound Wilson's 95 % interval."""
    low, high = rate.interval
    return {
        "test": rate.test,
        "null": rate.null,
        "claim": rate.claim,
        "alpha": rate.alpha,
        "trials": rate.trials,
        "false_positives": rate.false_positives,
        "rate": rate.rate,
        "low": low,
        "high": high,
        "holds": rate.holds,
    }

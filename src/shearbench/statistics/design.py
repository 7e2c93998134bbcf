"""Before hours are spent: what difference can so many folds and repeats detect?

The corrected resampled t of ``resampled_t`` at a true difference delta is noncentral t, with n - 1 degrees of freedom
and noncentrality

    delta / (sd * sqrt(1/(folds * repeats) + 1/(folds - 1))),

sd being the standard deviation of the fold *differences* of two networks, from a pilot or assumed. Detecting means:
p < alpha, and with the right sign. With m comparisons under Holm, alpha/m is the least that the first of them must
meet, so the plan is made for that.
"""

from dataclasses import dataclass, replace
from math import sqrt

from scipy import stats
from scipy.optimize import brentq

from shearbench.errors import InputError
from shearbench.statistics.resampled_t import error_factor

_MOST_REPEATS = 1000


@dataclass(frozen=True)
class Design:
    """What is declared before a run; InputError if a number is out of range."""

    folds: int
    repeats: int = 1
    alpha: float = 0.05
    power: float = 0.8
    comparisons: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.folds < 2 or self.repeats < 1 or self.comparisons < 1:
            raise InputError(
                "a design needs folds >= 2, repeats >= 1 and comparisons >= 1, got "
                f"{self.folds}, {self.repeats} and {self.comparisons}; correct cv in params.yaml"
            )
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1):
            raise InputError(
                f"a design needs 0 < alpha < 0.5 and alpha < power < 1, got alpha {self.alpha} and power {self.power}; "
                "the usual choice is 0.05 and 0.8"
            )

    @property
    def n(self) -> int:
        """Differences per pair of networks."""
        return self.folds * self.repeats


def power_of(design: Design, difference: float, *, sd: float) -> float:
    """Return the probability of detecting a true ``difference`` > 0; 1 where the folds do not vary (sd 0)."""
    if sd == 0:
        return 1.0
    return _power(design, difference / (sd * error_factor(design.folds, design.repeats)))


def detectable_difference(design: Design, *, sd: float) -> float:
    """Return the smallest true difference that is detected with probability ``design.power``; 0 where sd is 0.

    Raises:
        InputError: if ``sd`` is negative.
    """
    if sd < 0:
        raise InputError(
            f"the standard deviation of fold differences must be >= 0, got {sd}; give a pilot's or a guess"
        )
    enough = 1.0
    while _power(design, enough) < design.power:
        enough *= 2
    noncentrality = float(brentq(lambda value: _power(design, value) - design.power, 0.0, enough, xtol=1e-12))
    return noncentrality * sd * error_factor(design.folds, design.repeats)


def needed_repeats(design: Design, difference: float, *, sd: float) -> int | None:
    """Return the fewest repeats with which ``difference`` is detected, or None where a thousand are not enough.

    Repeats shrink 1/n alone: the overlap of the training sets, 1/(folds - 1), stays (:func:`least_detectable`).

    Raises:
        InputError: if ``difference`` is not positive, or ``sd`` is negative.
    """
    if not difference > 0:
        raise InputError(f"the difference to be detected must be > 0, got {difference}; 0.01 is one point of accuracy")

    def detects(repeats: int) -> bool:
        return detectable_difference(replace(design, repeats=repeats), sd=sd) <= difference

    if not detects(_MOST_REPEATS):
        return None
    low, high = 0, _MOST_REPEATS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if detects(middle) else (middle, high)
    return high


def least_detectable(design: Design, *, sd: float) -> float:
    """Return the smallest true difference that is detected with however many repeats; 0 where sd is 0.

    It is the limit: an infinite number of degrees of freedom, and the error sd / sqrt(folds - 1) of the overlap.
    """
    tails = stats.norm.isf(design.alpha / design.comparisons / 2) + stats.norm.isf(1 - design.power)
    return float(tails) * sd / sqrt(design.folds - 1)


def _power(design: Design, noncentrality: float) -> float:
    df = design.n - 1
    critical = stats.t.isf(design.alpha / design.comparisons / 2, df)
    return float(stats.nct.sf(critical, df, noncentrality))

"""Wilson's interval of a probability, and the comparison of two shares of the same cases."""

from math import sqrt

from scipy.special import ndtri, stdtrit

from shearbench.errors import InputError


def differ(first: float, second: float, n: int) -> bool:
    """Return True if two shares of the same n cases differ by more than three standard errors.

    The standard error is that of independent shares, sqrt((p(1 - p) + q(1 - q)) / n). Shares of the same cases vary
    less against each other, so the rule may miss small differences but does not invent them.
    """
    return abs(first - second) > 3 * sqrt((first * (1 - first) + second * (1 - second)) / n)


def wilson(share: float, n: float, *, level: float = 0.95, df: float | None = None) -> tuple[float, float]:
    """Return Wilson's interval of a probability; it lies within 0 to 1 and has a width at shares of 0 and 1 too.

    Args:
        share: successes / n, or the mean of several such shares over the same n cases.
        n: cases, at least 1.
        level: of the interval.
        df: degrees of freedom of Student's t if ``n`` is estimated; None for the normal quantile.

    Raises:
        InputError: if ``n`` or ``share`` is out of range.

    Source: Wilson, JASA 22 (1927).
    """
    if n < 1 or not 0 <= share <= 1:
        raise InputError(
            f"an interval needs a share from 0 to 1 of at least 1 case, got {share} of {n}; score more samples"
        )
    z = float(ndtri(0.5 + level / 2) if df is None else stdtrit(df, 0.5 + level / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return min(share, max(0.0, centre - reach)), max(share, min(1.0, centre + reach))  # rounding could exclude share

"""The picture of the false positive rates of the tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from shearbench.plotting.canvas import BLUE, GREY, ORANGE, figure, plain
from shearbench.statistics.false_positives import TOLERANCE

_CLAIMS = {
    "equal": (BLUE, "o", "claims 5 %"),
    "at most": (ORANGE, "s", "claims at most 5 %"),
    "none": (GREY, "D", "claims nothing here"),
}


def false_positive_figure(rates: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the rate of each test with its 95 % interval, and the band in which a claim of 5 % holds.

    Args:
        rates: rows of ``reports/aa.json``.
    """
    made = figure(11, 0.34 * len(rates) + 1.6)
    axes = made.subplots()
    alpha = 100 * rates[0]["alpha"]
    axes.axvspan(alpha - 100 * TOLERANCE, alpha + 100 * TOLERANCE, color=BLUE, alpha=0.1, lw=0)
    axes.axvline(alpha, color=BLUE, lw=1)
    for place, rate in enumerate(rates):
        colour, marker, _ = _CLAIMS[rate["claim"]]
        axes.plot([100 * rate["low"], 100 * rate["high"]], [place, place], color=colour, lw=2)
        axes.plot(100 * rate["rate"], place, marker, color=colour, ms=5)
    for colour, marker, label in _CLAIMS.values():
        axes.plot([], [], marker, color=colour, label=label)
    axes.set_yticks(range(len(rates)), [f"{rate['test']}\n{rate['null']}, n = {rate['trials']:,}" for rate in rates])
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylim(len(rates) - 0.4, -0.6)
    axes.set_xlim(left=-0.4)  # room for a marker at 0
    band = f"{alpha:g} ± {100 * TOLERANCE:g} %"
    axes.set_xlabel(f"false positives in %, with Wilson's 95 % interval for n trials; the band is {band}")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    plain(axes)
    return made

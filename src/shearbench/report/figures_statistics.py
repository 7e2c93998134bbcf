"""Figures of the calibration of the statistical tests: false-positive rates, size and power."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from shearbench.plotting.canvas import BLUE, GREY, ORANGE, figure, plain
from shearbench.statistics.false_positives import TOLERANCE
from shearbench.statistics.null_simulation import ALPHA

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


def size_and_power_figure(candidates: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw size and power of each candidate, the most powerful first; a line goes from its least to its worst pair.

    Args:
        candidates: ``candidates`` of ``reports/calibration.json``; those without a power are left out.
    """
    shown = sorted((row for row in candidates if row["power"] is not None), key=lambda row: -row["power"])
    made = figure(11, 0.32 * len(shown) + 1.2)
    left, right = made.subplots(1, 2, sharey=True)
    left.axvspan(100 * (ALPHA - TOLERANCE), 100 * (ALPHA + TOLERANCE), color=BLUE, alpha=0.1, lw=0)
    for place, row in enumerate(shown):
        colour = ORANGE if "verdict" in row["candidate"] else BLUE
        left.plot([100 * row["least_size"], 100 * row["worst_size"]], [place, place], color=colour, lw=2, alpha=0.5)
        left.plot(100 * row["size"], place, "o", color=colour, ms=5)
        right.plot(100 * row["power"], place, "o", color=colour, ms=5)
    left.set_yticks(range(len(shown)), [row["candidate"] for row in shown])
    left.invert_yaxis()
    left.set_xlabel(f"size in %; the band is {100 * ALPHA:g} ± {100 * TOLERANCE:g} %")
    right.set_xlabel("power in %")
    for axes in (left, right):
        axes.set_xlim(left=0)
        plain(axes)
    return made

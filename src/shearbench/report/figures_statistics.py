"""Figure of the calibration of the statistical tests: size and power of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from shearbench.plotting.canvas import BLUE, ORANGE, figure, plain

ALPHA = 0.05
"""The nominal size of the tests."""
TOLERANCE = 0.015
"""Largest accepted distance of a measured size from it."""


def size_and_power_figure(candidates: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw size and power of each candidate, the most powerful first; a line spans its least to its worst pair.

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

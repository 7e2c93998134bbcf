"""Draw a reliability diagram: accuracy against confidence, from the rows of ``reliability.csv``."""

import pandas as pd
from matplotlib.axes import Axes

STAGES = ("before", "after")
"""Before and after temperature scaling."""


def draw_reliability(axes: Axes, bins: pd.DataFrame, colour: str, marker: str, label: str) -> None:
    """Draw accuracy against confidence with its interval; the area of a marker grows with the samples in its bin."""
    some = bins[bins["n"] > 0]
    reach = [some["accuracy"] - some["accuracy_low"], some["accuracy_high"] - some["accuracy"]]
    axes.errorbar(some["confidence"], some["accuracy"], reach, fmt="none", ecolor=colour, lw=1, alpha=0.6)
    size = 8 + 60 * some["n"] / some["n"].sum()
    axes.plot(some["confidence"], some["accuracy"], color=colour, lw=1, alpha=0.6)
    axes.scatter(some["confidence"], some["accuracy"], size, color=colour, marker=marker, label=label, zorder=3)

"""Pictures of the statistics: how often the tests are wrong, and which networks a ranking tells apart."""

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


def critical_difference_figure(ranking: Mapping[str, Any]) -> Figure:
    """Draw mean ranks on a scale, best at the left; a bar joins networks that are not told apart.

    Args:
        ranking: of ``reports/ranking.json``, with ranks.
    """
    ranks = dict(zip(ranking["networks"], ranking["mean_ranks"], strict=True))
    order = sorted(ranks, key=lambda name: float(ranks[name]))
    groups = [group for group in ranking["groups"] if len(group) > 1]
    made = figure(9, 1.7 + 0.3 * len(order) + 0.22 * len(groups))
    axes = made.subplots()
    for place, name in enumerate(reversed(order)):  # the last stands highest, so that no stem crosses a name
        depth = 1.0 + 0.25 * len(groups) + 0.4 * place
        axes.plot([ranks[name], ranks[name]], [0, depth], color=GREY, lw=0.8)
        axes.plot(ranks[name], 0, "o", color=BLUE, ms=6, clip_on=False)
        axes.text(ranks[name], depth, f" {name} {ranks[name]:.2f}", va="center", ha="left", fontsize=10)
    for place, group in enumerate(groups):
        ends = [ranks[name] for name in group]
        axes.plot([min(ends) - 0.02, max(ends) + 0.02], [0.45 + 0.25 * place] * 2, color=ORANGE, lw=4)
    gap = ranking["critical_difference"]
    axes.plot([1, 1 + gap], [-0.55, -0.55], "|-", color=GREY, lw=1.5, ms=8)
    axes.text(1 + gap, -0.55, f"  critical difference {gap:.2f}", va="center", fontsize=9)
    axes.set_xlim(1, len(order) + 0.6)
    axes.set_xticks(range(1, len(order) + 1))
    axes.set_ylim(1.4 + 0.25 * len(groups) + 0.4 * len(order), -0.9)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(f"mean rank over {ranking['datasets']} datasets, 1 is best")
    axes.set_yticks([])
    axes.spines[["left", "right", "bottom"]].set_visible(False)
    return made

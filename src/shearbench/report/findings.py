"""Numbers in the format of the report, counts of verdicts, and the geometry of the chart."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shearbench.statistics.verdict import reversed_verdict

Row = Mapping[str, Any]
Rows = Sequence[Row]
"""Rows of a table, such as ``reports/comparison.json``."""
TOO_FEW = "too few folds"
_WIDEST = 0.5


def verdicts(pairs: Rows) -> str:
    """Return the number of pairs by verdict, as a sentence."""
    words = Counter("different" if row["verdict"] in ("better", "worse") else row["verdict"] for row in pairs)
    counts = [f"{words[word]} {word}" for word in ("different", "equivalent", "undecided") if words[word]]
    return f"Of {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}: {', '.join(counts)}"


def seen_from(one: str, pair: Row) -> Row:
    """Return a pair with ``one``, which is one of its two sides, as ``a``."""
    if pair["a"] == one:
        return pair
    sides = {"a": pair["b"], "b": pair["a"], "verdict": reversed_verdict(pair["verdict"])}
    sides |= {"mean_a": pair["mean_b"], "mean_b": pair["mean_a"]}
    return {**pair, **sides, "difference": -pair["difference"], "low": -pair["high"], "high": -pair["low"]}


def points(fraction: float) -> str:
    """Return a difference in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """Return a p value with three decimals, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def chart(rows: Rows, shades: Mapping[str, str]) -> dict[str, Any]:
    """Return the chart of cross-validated accuracies on one scale from ``start``, a round number, to 100 %.

    ``rows`` are those of ``reports/comparison.json``, ``shades`` model -> colour. Of the result, ``groups`` are dataset
    -> bars, ``ticks`` (position, label). Positions are in percent of the chart's width.
    """
    least = min(float(min(row["cv_accuracy_low"], row["test_accuracy_mean"])) for row in rows)
    step: int = next(step for step in (1, 2, 5, 10, 20) if 100 * (1 - least) <= 6 * step or step == 20)
    start = min(step * math.floor(100 * least / step), 100 - step)

    def place(value: float) -> float:
        return round(100 * (100 * float(value) - start) / (100 - start), 3)

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        mean, low, high = (row[f"cv_accuracy_{name}"] for name in ("mean", "low", "high"))
        shown = {"dot": mean, "low": low, "high": high, "test": row["test_accuracy_mean"]}
        label = {"model": row["model"], "text": f"{percent(mean)} ({span(low, high)})", "colour": shades[row["model"]]}
        groups.setdefault(row["dataset"], []).append({**label, **{key: place(value) for key, value in shown.items()}})
    ticks = [(place(tick / 100), f"{tick}") for tick in range(start, 101, step)]
    return {"groups": groups, "ticks": ticks, "start": start}


def percent(fraction: float) -> str:
    """Return a fraction in percent with one decimal, the precision of a few thousand samples."""
    return f"{round(100 * fraction, 1) + 0.0:.1f}"  # + 0.0 removes the sign of -0.0


def counted(row: Row) -> str:
    """Return the number of folds of a row of either table, and of its repeats if there are several."""
    repeats = f" × {row['repeats']} repeats" if row["repeats"] > 1 else ""
    return f"{row['folds']} folds{repeats}"


def hardware_of_all(rows: Rows) -> list[str]:
    """Return the distinct hardware of the trainings; ``cpu``, that of classifiers, only if no network has a CPU."""
    found = dict.fromkeys(row["hardware"] for row in rows)
    return [each for each in found if each != "cpu" or not any(other.startswith("cpu,") for other in found)]


def span(low: float, high: float) -> str:
    """Return an interval of an accuracy in percent, or "too few folds" if it is wider than 50 points."""
    return TOO_FEW if high - low > _WIDEST else f"{percent(low)} to {percent(high)}"


def listed(names: Iterable[str]) -> str:
    """Return names with commas and an *and*."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last

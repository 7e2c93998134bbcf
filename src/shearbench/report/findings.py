"""Numbers in the format of the report, counts of verdicts, and the geometry of the chart."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """One model in the chart; positions in percent of the chart's width."""

    model: str
    dot: float
    low: float
    high: float
    test: float
    text: str
    colour: str


@dataclass(frozen=True)
class Chart:
    """Cross-validated accuracy with its interval, dataset by dataset, on one scale from ``start`` to 100 %.

    ``ticks`` are (position, label).
    """

    groups: Sequence[tuple[str, Sequence[Bar]]]
    ticks: Sequence[tuple[float, str]]
    start: int


def verdicts(pairs: Sequence[Row]) -> str:
    """Return the number of pairs by verdict, as a sentence."""
    words = Counter("different" if row["verdict"] in ("better", "worse") else row["verdict"] for row in pairs)
    counts = [f"{words[word]} {word}" for word in ("different", "equivalent", "undecided") if words[word]]
    return f"Of {len(pairs)} pairs: {', '.join(counts)}"


def points(fraction: float) -> str:
    """Return a difference in percentage points, with its sign."""
    return f"{100 * fraction:+.2f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """Return a p value with three decimals, or "< 0.001"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def chart(rows: Sequence[Row], shades: Mapping[str, str]) -> Chart:
    """Return the chart; its scale ends at 100 % and begins at a round number below all drawn values.

    Args:
        rows: of ``reports/comparison.json``.
        shades: model -> colour.
    """
    least = min(float(min(row["cv_accuracy_low"], row["test_accuracy_mean"])) for row in rows)
    step: int = next(step for step in (1, 2, 5, 10, 20) if 100 * (1 - least) <= 6 * step or step == 20)
    start = min(step * math.floor(100 * least / step), 100 - step)

    def place(value: float) -> float:
        return round(100 * (100 * float(value) - start) / (100 - start), 3)

    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    groups = [
        (name, [_bar(row, place, shades[row["model"]]) for row in rows if row["dataset"] == name]) for name in datasets
    ]
    return Chart(groups, [(place(tick / 100), f"{tick}") for tick in range(start, 101, step)], start)


def _bar(row: Row, place: Callable[[float], float], colour: str) -> Bar:
    return Bar(
        row["model"],
        place(row["cv_accuracy_mean"]),
        place(row["cv_accuracy_low"]),
        place(row["cv_accuracy_high"]),
        place(row["test_accuracy_mean"]),
        f"{percent(row['cv_accuracy_mean'])} ({span(row['cv_accuracy_low'], row['cv_accuracy_high'])})",
        colour,
    )


def percent(fraction: float) -> str:
    """Return a fraction in percent with one decimal, the precision of a few thousand samples."""
    return f"{round(100 * fraction, 1) + 0.0:.1f}"  # + 0.0 removes the sign of -0.0


def counted(row: Row) -> str:
    """Return the number of folds of a row of either table, and of its repeats if there are several."""
    repeats = f" × {row['repeats']} repeats" if row["repeats"] > 1 else ""
    return f"{row['folds']} folds{repeats}"


TOO_FEW = "too few folds"
_WIDEST = 0.5


def span(low: float, high: float) -> str:
    """Return an interval of an accuracy in percent, or "too few folds" if it is wider than 50 points."""
    return TOO_FEW if high - low > _WIDEST else f"{percent(low)} to {percent(high)}"


def listed(names: Sequence[str]) -> str:
    """Return names with commas and an *and*."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

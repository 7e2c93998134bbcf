"""Calibration of the statistical tests: how often the verdict calls equal models different.

``benchmarks/calibration.py`` trains the models and writes ``reports/calibration.*``.
"""

from pathlib import Path

from matplotlib.figure import Figure

from shearbench.plotting.canvas import BLUE, ORANGE, figure, plain
from shearbench.records import read_json
from shearbench.report.ablations import rows_of_file
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Picture, Pictures, Prose, Section, Table
from shearbench.report.findings import Row, Rows

ALPHA = 0.05
"""The nominal size of the tests."""
TOLERANCE = 0.015
"""Largest accepted distance of a measured size from it."""
_TITLE = "Calibration of the statistical tests"
_ELSEWHERE = """The size and power of the tests do not depend on this run. shearbench's repository measures them on
MNIST (`python benchmarks/calibration.py`); `docs/statistics.md` there shows the results."""
_BAND = f"{100 * ALPHA:g} ± {100 * TOLERANCE:g} %"
_MEANING = """How often the verdict calls equal models different. Classifiers of equal accuracy are trained on {draws}
draws of MNIST (`python benchmarks/calibration.py`). No null assumes what the verdict assumes. The size of a pair is the
share of draws in which the verdict excludes the pair's mean difference over all draws. It should be {band}."""
_CANDIDATES = """The same for other tests: size as the mean over the pairs, the least and the worst pair, and power, the
share of draws in which a pair of unequal classifiers is called different."""
_NULLS = (
    Column("trained on"),
    Column("equal models"),
    Column("called different", True, "size: share of draws in which the verdict excludes the mean difference"),
    Column("95 % interval", True, "Wilson's, for this number of draws"),
    Column("draws", True),
    Column(f"within {_BAND}"),
)
_SIZES = (
    Column("test"),
    Column("size", True, "mean over the pairs of equal classifiers"),
    Column("least to worst pair", True),
    Column("power", True, "mean over the pairs of unequal classifiers"),
)
_VERDICT, _DISJOINT = "crossed, moderated (the verdict)", "crossed, 10 disjoint sets, test only"


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    path = root / "reports" / "calibration.json"
    if not path.is_file():
        return Section("false-positives", _TITLE, [Prose(_ELSEWHERE)])
    found, table = read_json(path), path.with_suffix(".csv")
    nulls = [row for row in rows_of_file(table) if row["null"] in ("equal", "A/A")]
    folds, sets = ([row for row in nulls if row["candidate"] == name] for name in (_VERDICT, _DISJOINT))
    picture = Picture.of(path.with_suffix(".png"), "Size and power of each test, with its least and its worst pair")
    pairs = [*(_null("folds", row) for row in folds), *(_null("disjoint sets", row) for row in sets)]
    provenance = found["provenance"]
    blocks: list[Block] = [
        Prose(_MEANING.format(draws=folds[0]["draws"], band=_BAND)),
        Prose(_summary(found, folds, sets)),
        Table(_NULLS, pairs, data=[Data.of(table)]),
        Prose(_CANDIDATES),
        Pictures([picture], wide=True),
        Table(_SIZES, [_size(row) for row in found["candidates"] if row["power"] is not None], data=[Data.of(path)]),
        Facts([("made by", f"commit {provenance['commit']}, on {provenance['machine']['processor']}")]),
    ]
    return Section("false-positives", _TITLE, blocks)


def _summary(found: Row, folds: Rows, sets: Rows) -> str:
    family = next(row for row in found["families"] if "the verdict" in row["candidate"])
    outside = [f"{_pair(row)} ({100 * row['size']:.1f} %)" for row in folds if not _inside(row)]
    mean, size, low, high = (
        f"{100 * share:.1f}"
        for share in (sum(row["size"] for row in folds) / len(folds), *(family[key] for key in ("size", "low", "high")))
    )
    return (
        f"Of {len(folds)} pairs of cross-validated classifiers {len(folds) - len(outside)} lie within {_BAND}. "
        f"Outside: {'; '.join(outside) or 'none'}. The mean of all pairs is {mean} %. In {size} % of the draws "
        f"(95 % interval {low} to {high}) at least one pair of the family of equal classifiers is called different. "
        f"Of {len(sets)} pairs trained on disjoint sets and compared on the test part alone, "
        f"{sum(map(_inside, sets))} lie within {_BAND}."
    )


def _pair(row: Row) -> str:
    return f"{row['a']} against {row['b']}"


def _inside(row: Row) -> bool:
    return bool(abs(row["size"] - ALPHA) <= TOLERANCE)


def _null(trained_on: str, row: Row) -> list[Cell | str]:
    return [
        trained_on,
        f"{_pair(row)} (A/A)" if row["null"] == "A/A" else _pair(row),
        Cell(f"{100 * row['size']:.1f} %", row["size"], strong=True),
        Cell(f"{100 * row['low']:.1f} to {100 * row['high']:.1f} %", row["low"]),
        Cell(str(row["draws"]), row["draws"]),
        "yes" if _inside(row) else "no",
    ]


def _size(row: Row) -> list[Cell | str]:
    return [
        row["candidate"],
        Cell(f"{100 * row['size']:.1f} %", row["size"], strong="verdict" in row["candidate"]),
        Cell(f"{100 * row['least_size']:.1f} to {100 * row['worst_size']:.1f} %", row["worst_size"]),
        Cell(f"{100 * row['power']:.1f} %", row["power"]),
    ]


def size_and_power_figure(candidates: Rows) -> Figure:
    """Draw size and power of each candidate, the most powerful first; a line spans its least to its worst pair.

    ``candidates`` are those of ``reports/calibration.json``; those without a power are left out.
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

"""The verdict on every pair of networks on a dataset, and of datasets for a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Prose, Section, Table
from shearbench.report.findings import p_value, percent, points, verdicts

_TITLE = "Is the difference real?"
_TEXT = """A pair is two models on one dataset, or one model on two datasets. The difference is that of accuracy on all
digits that a network did not train on: each training digit once a repeat, when its fold is held out, and each test
digit by all networks. Its interval is for other digits and another training (samples crossed with trainings, clusters
over writers). It holds for all pairs of a family at once with probability 95 %; a family is the models on one dataset,
or all pairs of datasets. Better and worse: the interval excludes 0. Equivalent: it lies within ± the region that was
declared in `params.yaml` not to matter. All else is undecided. The run calls a difference better or worse with the
power declared if it is at least the detectable one (in brackets: the spread itself is known to that, 80 %). Equal
models are called equivalent with that power if the region is at least the one in the last column."""
_COLUMNS = (
    Column("within"),
    Column("a"),
    Column("b"),
    Column("a − b", True, "difference in accuracy on all digits that a network did not train on, in points"),
    Column("interval", True, "for other digits and another training, all pairs of the family at once"),
    Column("p (adjusted)", True, "below 0.05 exactly where the interval excludes 0"),
    Column("a is"),
    Column("detectable", True, "smallest true difference that is called better or worse with the power declared"),
    Column("± region", True, "a difference that was declared in params.yaml not to matter"),
    Column("region needed", True, "least region in which equal models are called equivalent with the power declared"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    path = root / "reports" / "pairs.json"
    pairs = read_json(path)
    if pairs["refused"]:
        return Section("differences", _TITLE, [Prose(f"No verdicts: {pairs['refused']}")])
    if not pairs["rows"]:
        return Section("differences", _TITLE, [Prose("One run alone has nothing to be compared with.")])
    table = Table(_COLUMNS, [_row(pair) for pair in pairs["rows"]], data=[Data.of(path.with_suffix(".csv"))])
    blocks: list[Block] = [Prose(_explanation(pairs["rows"])), table]
    return Section("differences", _TITLE, blocks)


def _explanation(pairs: Sequence[Mapping[str, Any]]) -> str:
    return f"{verdicts(pairs)}. {_TEXT}"


def _row(pair: Mapping[str, Any]) -> list[Cell | str]:
    return [
        pair["within"],
        pair["a"],
        pair["b"],
        Cell(points(pair["difference"]), pair["difference"]),
        Cell(f"{points(pair['low'])} to {points(pair['high'])}", pair["low"]),
        Cell(p_value(pair["p_adjusted"]), pair["p_adjusted"]),
        Cell(pair["verdict"], strong=True, help=pair["rule"]),
        Cell(
            f"{percent(pair['detectable'])} ({percent(pair['detectable_low'])} to {percent(pair['detectable_high'])})",
            pair["detectable"],
        ),
        Cell(percent(pair["rope"]), pair["rope"]),
        Cell(percent(pair["equivalence_needs"]), pair["equivalence_needs"]),
    ]

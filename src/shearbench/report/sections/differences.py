"""The verdict on every pair of networks on a dataset, and of datasets for a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Prose, Section, Table
from shearbench.report.findings import counted, p_value, percent, points, verdicts

_TITLE = "Is the difference real?"
_TEXT = """A pair is two networks on one dataset, or one network on two datasets. The difference is that of out-of-fold
accuracy in points, with the 95 % interval (of that pair alone) and the p value (Holm-adjusted over all pairs of its
kind) of the corrected resampled t-test over {folds} (Nadeau and Bengio). Equivalent, better and worse are said at a
posterior probability of 95 % or more (Bayesian correlated t-test) that the difference lies within, above or below ±
the region that was declared in `params.yaml` not to matter; better and worse need a significant p too. All else is
undecided. Detectable is the smallest difference that as many folds find at this spread, with the power declared."""
_COLUMNS = (
    Column("within"),
    Column("a"),
    Column("b"),
    Column("a − b", True, "difference in out-of-fold accuracy, in points"),
    Column("interval", True, "corrected resampled t"),
    Column("p (Holm)", True),
    Column("a is"),
    Column(
        "detectable", True, "the smallest difference that as many folds find at this spread, with the power declared"
    ),
    Column("± region", True, "a difference that was declared in params.yaml not to matter"),
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
    return f"{verdicts(pairs)}. {_TEXT.format(folds=counted(pairs[0]))}"


def _row(pair: Mapping[str, Any]) -> list[Cell | str]:
    return [
        pair["within"],
        pair["a"],
        pair["b"],
        Cell(points(pair["difference"]), pair["difference"]),
        Cell(f"{points(pair['low'])} to {points(pair['high'])}", pair["low"]),
        Cell(p_value(pair["p_holm"]), pair["p_holm"]),
        Cell(pair["verdict"], strong=True, help=pair["rule"]),
        Cell(percent(pair["detectable"]), pair["detectable"]),
        Cell(percent(pair["rope"]), pair["rope"]),
    ]

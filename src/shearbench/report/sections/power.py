"""Planned and achieved power: the difference that the design should detect, and the one that it detects."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Prose, Section, Table
from shearbench.report.findings import counted

_TITLE = "Planned and achieved power"
_TEXT = """Declared before the run: {folds}, and the smallest true difference to detect on each dataset. Achieved is
the smallest true difference that the run detects, with the declared power, at the observed spread, and with intervals
that hold for all pairs of a family at once. {met} A smaller difference may exist without being found; the verdict is
then undecided. Repeats are the number of repeats that reaches the plan at this spread. `shearbench design` computes
this before a long run, from a pilot or a given spread."""
_COLUMNS = (
    Column("within"),
    Column("a"),
    Column("b"),
    Column("planned", True, "smallest true difference to detect, percentage points"),
    Column("achieved", True, "smallest true difference that is detected at the observed spread, percentage points"),
    Column(
        "spread", True, "standard error of the difference, for other samples and another training, percentage points"
    ),
    Column("observed", True, "observed difference, percentage points"),
    Column("repeats for the plan", True, "at the observed spread; none if a thousand do not suffice"),
    Column("plan"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    pairs = read_json(root / "reports" / "pairs.json")["rows"]
    if not pairs:
        return Section("power", _TITLE, [Prose("No pair was compared, so there is no plan to check.")])
    table = Table(_COLUMNS, [_row(pair) for pair in pairs])
    blocks: list[Block] = [Prose(_TEXT.format(folds=counted(pairs[0]), met=_met(pairs))), table]
    return Section("power", _TITLE, blocks)


def _met(pairs: Sequence[Mapping[str, Any]]) -> str:
    planned = [pair for pair in pairs if pair["planned"] is not None]
    if not planned:
        return "No difference was declared (`compare.detect` in `params.yaml`), so there is no plan to check."
    met = sum(pair["detectable"] <= pair["planned"] for pair in planned)
    within = sum(pair["planned"] < pair["rope"] for pair in planned)
    never = f" For {within} pairs the planned difference lies within the region of equivalence: more repeats call it "
    return f"The plan was met for {met} of {len(planned)} pairs." + (f"{never}equivalent." if within else "")


def _row(pair: Mapping[str, Any]) -> list[Cell | str]:
    return [
        pair["within"],
        pair["a"],
        pair["b"],
        _points(pair["planned"]),
        _points(pair["detectable"]),
        _points(pair["standard_error"]),
        _points(abs(pair["difference"])),
        *_plan_cells(pair),
    ]


def _points(fraction: float | None) -> Cell:
    return Cell("not declared") if fraction is None else Cell(f"{100 * fraction:.2f}", fraction)


def _plan_cells(pair: Mapping[str, Any]) -> tuple[Cell, Cell]:
    if pair["planned"] is None:
        return Cell(""), Cell("")
    needed = (
        Cell("none") if pair["needed_repeats"] is None else Cell(str(pair["needed_repeats"]), pair["needed_repeats"])
    )
    return needed, Cell("met" if pair["detectable"] <= pair["planned"] else "missed", strong=True)

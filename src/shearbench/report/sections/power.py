"""Planned and achieved power: the difference that the design should detect, and the one that it detects."""

from pathlib import Path

from shearbench.records import read_json
from shearbench.report.blocks import Cell, Column, Prose, Section, Table
from shearbench.report.findings import Row, Rows, counted

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
    Column("spread", True, "standard error of the difference, for other samples and another training"),
    Column("observed", True, "observed difference, percentage points"),
    Column("repeats for the plan", True, "at the observed spread; none if a thousand do not suffice"),
    Column("plan"),
)


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    pairs = read_json(root / "reports" / "pairs.json")["rows"]
    if not pairs:
        return Section("power", _TITLE, [Prose("No pair was compared, so there is no plan to check.")])
    text = _TEXT.format(folds=counted(pairs[0]), met=_met(pairs))
    return Section("power", _TITLE, [Prose(text), Table(_COLUMNS, [_row(pair) for pair in pairs])])


def _met(pairs: Rows) -> str:
    planned = [pair for pair in pairs if pair["planned"] is not None]
    if not planned:
        return "No difference was declared (`compare.detect` in `params.yaml`), so there is no plan to check."
    met = sum(pair["detectable"] <= pair["planned"] for pair in planned)
    within = sum(pair["planned"] < pair["rope"] for pair in planned)
    never = f" For {within} pairs the planned difference lies within the region of equivalence: more repeats call it "
    return f"The plan was met for {met} of {len(planned)} pairs." + (f"{never}equivalent." if within else "")


def _row(pair: Row) -> list[Cell | str]:
    shown = (pair["planned"], pair["detectable"], pair["standard_error"], abs(pair["difference"]))
    cells = [pair["within"], pair["a"], pair["b"], *map(_points, shown)]
    if pair["planned"] is None:
        return [*cells, "", ""]
    needed = pair["needed_repeats"]
    met = Cell("met" if pair["detectable"] <= pair["planned"] else "missed", strong=True)
    return [*cells, Cell("none" if needed is None else str(needed), needed), met]


def _points(fraction: float | None) -> Cell:
    return Cell("not declared") if fraction is None else Cell(f"{100 * fraction:.2f}", fraction)

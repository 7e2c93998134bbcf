"""The verdict on every pair of models on a dataset, and of datasets for a model."""

from pathlib import Path

from shearbench.records import read_json
from shearbench.report.blocks import Cell, Column, Data, Prose, Section, Table
from shearbench.report.findings import Row, Rows, p_value, percent, points, verdicts

_TITLE = "Pairwise comparison"
_TEXT = """A pair is two models on one dataset, or one model on two datasets. The difference is one of accuracy on all
samples that a model did not train on: each training sample once per repeat, when its fold is held out, and each test
sample with all trained models. Its interval covers other samples and another training (samples crossed with trainings,
clustered by writer). The intervals of a family hold at once with probability 95 %; a family is the models on one
dataset, or all pairs of datasets. Better and worse: the interval excludes 0. Equivalent: it lies within ± the region
that `params.yaml` declared before the run. Undecided: all else. The detectable difference is the smallest one that
the run calls better or worse with the declared power; in brackets its least and largest value over the 80 % interval
of the standard error. The last column has the least region in which the run calls equal models equivalent with that
power."""
_COLUMNS = (
    Column("within"),
    Column("a"),
    Column("b"),
    Column("a is"),
    Column("a − b", True, "difference in accuracy on all samples that a model did not train on, percentage points"),
    Column("interval", True, "for other samples and another training, for all pairs of the family at once"),
    Column("p (adjusted)", True, "below 0.05 exactly if the interval excludes 0"),
    Column("detectable", True, "smallest true difference that is called better or worse with the declared power"),
    Column("± region", True, "difference that does not matter, declared in params.yaml"),
    Column("region needed", True, "least region in which equal models are called equivalent with the declared power"),
)


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    path = root / "reports" / "pairs.json"
    refused, pairs = (read_json(path)[key] for key in ("refused", "rows"))
    if refused or not pairs:
        reason = f"No verdicts: {refused}" if refused else "One run alone has no pair."
        return Section("differences", _TITLE, [Prose(reason)])
    text = Prose(f"{verdicts(pairs)}. {_TEXT}")
    return Section("differences", _TITLE, [text, table(pairs, Data.of(path.with_suffix(".csv")))])


def table(pairs: Rows, *data: Data) -> Table:
    """Return a table with one row per pair."""
    return Table(_COLUMNS, [_row(pair) for pair in pairs], data=data)


def _row(pair: Row) -> list[Cell | str]:
    least, low, high = (percent(pair[f"detectable{end}"]) for end in ("", "_low", "_high"))
    return [
        pair["within"],
        pair["a"],
        pair["b"],
        Cell(pair["verdict"], strong=True, help=pair["rule"]),
        Cell(points(pair["difference"]), pair["difference"]),
        Cell(f"{points(pair['low'])} to {points(pair['high'])}", pair["low"]),
        Cell(p_value(pair["p_adjusted"]), pair["p_adjusted"]),
        Cell(f"{least} ({low} to {high})", pair["detectable"]),
        Cell(percent(pair["rope"]), pair["rope"]),
        Cell(percent(pair["equivalence_needs"]), pair["equivalence_needs"]),
    ]

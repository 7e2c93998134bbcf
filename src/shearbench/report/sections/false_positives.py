"""Calibration of the statistical tests: how often each claims a difference between equal models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Picture, Pictures, Prose, Section, Table
from shearbench.statistics.null_simulation import CIRCULAR

_TITLE = "Calibration of the statistical tests"
_TEXT = """How often each test claims a difference between equal models (`shearbench aa`). Simulated nulls satisfy a
test's assumption, or violate it. A null marked circular draws fold scores with the correlation that the test assumes:
it checks the code, not the assumption. Trained: {settings}. {met} Networks that differ only in their seeds have almost
uncorrelated fold differences. The corrected t assumes a correlation of 1/folds, so its claim there is at most 5 %.
McNemar's test and the bootstrap over cases judge the trained networks, which do differ between seeds: finding a
difference is no error, so nothing is claimed for them there, and no verdict uses them. If a coin swaps the two sides
case by case, the trained networks are equal, and the claim is 5 %."""
_MEASURED = """Size and power on {draws} draws of MNIST with trained classifiers of different kinds
(`python benchmarks/calibration.py`). Size is the share of draws in which a pair of equal classifiers is called
different: the mean over {nulls} pairs, with the least and the worst pair in brackets. The size of one pair is known to
± {error:.1f} percentage points (95 %). Power is the same share for unequal pairs."""
_CLAIMS = {"equal": "5 %", "at most": "at most 5 %", "none": "nothing"}
_HOLDS = {True: "yes", False: "no", None: ""}
_COLUMNS = (
    Column("test"),
    Column("null"),
    Column("claimed"),
    Column("false positives", True, "share of trials in which the test claims a difference"),
    Column("95 % interval", True, "Wilson's, for this number of trials"),
    Column("trials", True),
    Column("holds", help="claim of 5 %: within 5 ± 1.5 %; claim of at most 5 %: at most 6.5 %"),
)


_SIZES = (
    Column("test"),
    Column("size", True, "mean over the pairs of equal classifiers"),
    Column("least to worst pair", True),
    Column("power", True, "mean over the pairs of unequal classifiers"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    path = root / "reports" / "aa.json"
    if not path.is_file():
        return Section("false-positives", _TITLE, [], ["the calibration of the tests (`shearbench aa`)"])
    found = read_json(path)
    rates, settings = found["rates"], found["settings"]
    picture = Picture.of(path.with_suffix(".png"), "False-positive rate of each test with its 95 % interval")
    table = Table(_COLUMNS, [_row(rate) for rate in rates], data=[Data.of(path.with_suffix(".csv"))])
    text = _TEXT.format(settings=_trained(found), met=_met(rates))
    facts = Facts([*_variance(found["variance"], settings), ("made by", f"{found['command']} at {_commit(found)}")])
    blocks: list[Block] = [*_measured(root), Prose(text), Pictures([picture], wide=True), table, facts]
    return Section("false-positives", _TITLE, blocks)


def _measured(root: Path) -> list[Block]:
    """Return what the calibration on trained classifiers showed, where its report is there."""
    path = root / "reports" / "calibration.json"
    if not path.is_file():
        return []
    rows = [row for row in read_json(path)["candidates"] if row["power"] is not None]
    draws, nulls = rows[0]["draws"], rows[0]["nulls"]
    text = _MEASURED.format(draws=draws, nulls=nulls, error=196 * (0.05 * 0.95 / draws) ** 0.5)
    table = Table(_SIZES, [_size(row) for row in rows], data=[Data.of(path.with_suffix(".csv"))])
    return [Prose(text), table]


def _size(row: Mapping[str, Any]) -> list[Cell | str]:
    return [
        row["candidate"],
        Cell(f"{100 * row['size']:.1f} %", row["size"], strong="verdict" in row["candidate"]),
        Cell(f"{100 * row['least_size']:.1f} to {100 * row['worst_size']:.1f} %", row["worst_size"]),
        Cell(f"{100 * row['power']:.1f} %", row["power"]),
    ]


def _trained(found: Mapping[str, Any]) -> str:
    settings = found["settings"]
    return (
        f"a small network ({settings['model']['architecture']}, {100 * found['accuracy']:.0f} % accuracy) "
        f"cross-validated {settings['seeds']} times over {settings['folds']} folds on each of {settings['draws']} "
        f"draws of {settings['samples']} training digits with other seeds each time, and compared with itself"
    )


def _met(rates: Sequence[Mapping[str, Any]]) -> str:
    claims = [rate for rate in rates if rate["holds"] is not None]
    held, circular = sum(rate["holds"] for rate in claims), sum(rate["null"] in CIRCULAR for rate in claims)
    return f"{held} of {len(claims)} claims hold, {circular} of them on circular nulls."


def _variance(variance: Mapping[str, float], settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a fold's accuracy varies by in the trained draws, where several seeds separate the seed's share."""
    names = {"total": "± of a fold's accuracy", "data": "data", "seed": "seed", "fold": "fold"}
    samples = settings["samples"] / settings["folds"]
    facts = [(name, f"{100 * variance[key] ** 0.5:.2f} points") for key, name in names.items()]
    return [(facts[0][0], f"{facts[0][1]}, {samples:g} digits per fold"), *facts[1:]]


def _commit(found: Mapping[str, Any]) -> str:
    provenance = found["provenance"]
    return f"commit {provenance['commit']}, seed {found['settings']['seed']}, on {provenance['machine']['processor']}"


def _row(rate: Mapping[str, Any]) -> list[Cell | str]:
    return [
        rate["test"],
        f"{rate['null']} (circular)" if rate["null"] in CIRCULAR else rate["null"],
        _CLAIMS[rate["claim"]],
        Cell(f"{100 * rate['rate']:.1f} %", rate["rate"], strong=True),
        Cell(f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f} %", rate["low"]),
        Cell(f"{rate['trials']:,}", rate["trials"]),
        _HOLDS[rate["holds"]],
    ]

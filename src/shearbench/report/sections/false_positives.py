"""How often every test that is printed claims a difference where there is none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Picture, Pictures, Prose, Section, Table

_TITLE = "Can the tests be believed?"
_TEXT = """The suite was tested on itself, in worlds without a difference. Simulated: worlds that obey each test's
assumption, and some that do not. Trained: {settings}. {met} Between networks that differ in their seeds alone, fold
differences are hardly correlated, while the corrected t allows for 1/folds: it claims at most 5 % there. McNemar and
the bootstrap over cases judge the trained networks at hand, which do differ between seeds: to tell them apart is no
mistake, so nothing is claimed for them there, and they have no vote in a verdict. With the sides swapped case by case
by a coin the trained networks are equal, and there they claim 5 %."""
_CLAIMS = {"equal": "5 %", "at most": "at most 5 %", "none": "nothing"}
_HOLDS = {True: "yes", False: "no", None: ""}
_COLUMNS = (
    Column("test"),
    Column("null"),
    Column("claimed"),
    Column("false positives", True, "share of the trials in which the test claimed a difference"),
    Column("95 % interval", True, "Wilson's, for so many trials"),
    Column("trials", True),
    Column("holds", help="within 5 ± 1.5 % where 5 % is claimed, at most 6.5 % where at most 5 % is"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    path = root / "reports" / "aa.json"
    if not path.is_file():
        return Section("false-positives", _TITLE, [], ["the suite tested on itself (`shearbench aa`)"])
    found = read_json(path)
    rates, settings = found["rates"], found["settings"]
    picture = Picture.of(path.with_suffix(".png"), "False-positive rate of each test with its 95 % interval")
    table = Table(_COLUMNS, [_row(rate) for rate in rates], data=[Data.of(path.with_suffix(".csv"))])
    text = _TEXT.format(settings=_trained(found), met=_met(rates))
    facts = Facts([*_variance(found["variance"], settings), ("made by", f"{found['command']} at {_commit(found)}")])
    blocks: list[Block] = [Prose(text), Pictures([picture], wide=True), table, facts]
    return Section("false-positives", _TITLE, blocks)


def _trained(found: Mapping[str, Any]) -> str:
    settings = found["settings"]
    return (
        f"a small network ({settings['model']['architecture']}, {100 * found['accuracy']:.0f} % right) cross-validated "
        f"{settings['seeds']} times over {settings['folds']} folds on each of {settings['draws']} draws of "
        f"{settings['samples']} training digits, from other seeds each time, and compared with itself"
    )


def _met(rates: Sequence[Mapping[str, Any]]) -> str:
    claims = [rate for rate in rates if rate["holds"] is not None]
    held = sum(rate["holds"] for rate in claims)
    return f"{held} of {len(claims)} claims hold."


def _variance(variance: Mapping[str, float], settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a fold's accuracy varies by in the trained draws, where several seeds tell the seed apart."""
    names = {"total": "± of a fold's accuracy", "data": "of it data", "seed": "of it seed", "fold": "of it fold"}
    samples = settings["samples"] / settings["folds"]
    facts = [(name, f"{100 * variance[key] ** 0.5:.2f} points") for key, name in names.items()]
    return [(facts[0][0], f"{facts[0][1]}, {samples:g} digits a fold"), *facts[1:]]


def _commit(found: Mapping[str, Any]) -> str:
    provenance = found["provenance"]
    return f"commit {provenance['commit']}, seed {found['settings']['seed']}, on {provenance['machine']['processor']}"


def _row(rate: Mapping[str, Any]) -> list[Cell | str]:
    return [
        rate["test"],
        rate["null"],
        _CLAIMS[rate["claim"]],
        Cell(f"{100 * rate['rate']:.1f} %", rate["rate"], strong=True),
        Cell(f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f} %", rate["low"]),
        Cell(f"{rate['trials']:,}", rate["trials"]),
        _HOLDS[rate["holds"]],
    ]

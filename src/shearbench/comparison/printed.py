"""The comparison as tables on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.records import read_json, require_shape
from shearbench.report.findings import hardware_of_all, p_value, span

if TYPE_CHECKING:  # it loads the statistics, which takes seconds
    from shearbench.comparison.table import Row

_NUMBER = (int, float)
_ROW = {
    **dict.fromkeys(("dataset", "model"), str),
    **dict.fromkeys(("cv_accuracy_mean", "cv_accuracy_sd", "test_accuracy_mean", "test_accuracy_sd"), _NUMBER),
    **dict.fromkeys(("cv_accuracy_low", "cv_accuracy_high", "parameters", "seconds_per_fold"), _NUMBER),
    "accuracy_drop": (*_NUMBER, type(None)),
}
_SIDES = dict.fromkeys(("within", "a", "b"), str)
_PAIRS = {
    "refused": (str, type(None)),
    "rows": [_SIDES | {"verdict": str} | dict.fromkeys(("low", "high", "difference", "p_adjusted"), _NUMBER)],
    "unpaired": [_SIDES | {"reason": str}],
}


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return a table without rows; names fold if the terminal is narrow, numbers never do."""
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))
    for heading in names:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print the verdict on each pair, or the reason for its absence."""
    console = Console()
    if pairs["refused"]:
        console.print(f"[yellow]No verdicts:[/] {escape(pairs['refused'])}", soft_wrap=True)
        return
    title = "Pairs: a against b, on all samples that a model did not train on"
    table = _table(title, ("within", "a", "b"), ("a - b", "interval", "p (adjusted)"))
    table.add_column("a is", overflow="fold")
    for row in pairs["rows"]:
        interval = f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"
        difference, p = f"{100 * row['difference']:+.2f}", p_value(row["p_adjusted"])
        table.add_row(*map(escape, (row["within"], row["a"], row["b"])), difference, interval, p, row["verdict"])
    console.print(table)
    for each in pairs["unpaired"]:
        pair = f"{each['within']}, {each['a']} against {each['b']}: {each['reason']}"
        console.print(f"[yellow]No verdict[/] on {escape(pair)}", soft_wrap=True)
    console.print(
        "Percentage points; intervals for other samples and another training, per family. Rules: reports/pairs.csv",
        style="dim",
    )


def print_table(rows: Sequence["Row"]) -> None:
    """Print the comparison, in percent."""
    drops = any(row["accuracy_drop"] is not None for row in rows)
    numbers = ("CV", "interval", "test", *(["drop"] if drops else []), "params", "s/fold")
    title = "Accuracy in %, cross-validated (CV) and test: mean ± sd over folds"
    table = _table(title, ("dataset", "model"), numbers)
    previous = rows[0]["dataset"] if rows else ""
    for row in rows:
        if row["dataset"] != previous:
            table.add_row()
        previous = row["dataset"]
        table.add_row(*_printed(row, drops=drops))
    console = Console()
    console.print(table)
    console.print(
        "interval: 95 %, of the CV accuracy, for other samples and another training; few folds: it is wider than 50."
        + " drop: CV accuracy lost from the images, percentage points." * drops,
        style="dim",
    )
    trained_on = hardware_of_all(rows)
    if len(trained_on) > 1 or any("; " in each for each in trained_on):
        console.print(f"Seconds are not comparable, because the hardware differs: {escape('; '.join(trained_on))}.")


def _printed(row: "Row", *, drops: bool) -> list[str]:
    drop = row["accuracy_drop"]
    return [
        row["dataset"],
        row["model"],
        f"{100 * row['cv_accuracy_mean']:.2f} ± {100 * row['cv_accuracy_sd']:.2f}",
        span(row["cv_accuracy_low"], row["cv_accuracy_high"]).replace(" to ", "\N{EN DASH}").removeprefix("too "),
        f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f}",
        *(["" if drop is None else f"{100 * drop:.2f}"] if drops else []),
        f"{row['parameters'] / 1e6:.2f}M",
        f"{row['seconds_per_fold']:.1f}",
    ]


def read_tables(root: Path) -> dict[str, Any]:
    """Return ``runs`` and ``pairs`` that stage ``compare`` wrote; InputError if it has not run."""
    found = {}
    for name, file, shape in (("runs", "comparison.json", [_ROW]), ("pairs", "pairs.json", _PAIRS)):
        path = root / "reports" / file
        found[name] = read_json(path)
        require_shape(found[name], shape, path)
    return found


def print_tables(root: Path) -> None:
    """Print the tables that stage ``compare`` wrote; InputError if it has not run."""
    tables = read_tables(root)
    print_table(tables["runs"])
    print_pairs(tables["pairs"])

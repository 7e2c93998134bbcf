"""Stage ``compare``: all evaluations side by side.

Reads ``build/evaluation/<dataset>/<model>/`` of every cell; writes ``reports/comparison.csv`` and ``.json`` (its rows
under ``rows``) and prints the table.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from shearbench.evaluation.comparison import COLUMNS, Row
from shearbench.evaluation.comparison import read_rows as rows_of_cells
from shearbench.params import Params
from shearbench.records import read_json, write_json, write_text


def main(params: Params, root: Path) -> None:
    """Compare all cells of ``params``.

    Raises:
        InputError: if the evaluation of a cell is missing or damaged.
    """
    cells = [(cell.dataset, cell.model) for cell in params.cells.values()]
    rows = rows_of_cells(root / "build" / "evaluation", cells)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_text(root / "reports" / "comparison.csv", table.to_csv(index=False))
    write_json(root / "reports" / "comparison.json", {"rows": rows})
    print_table(rows)


def read_rows(root: Path) -> list[Row]:
    """Read the rows that :func:`main` wrote; InputError if it has not run."""
    rows: list[Row] = read_json(root / "reports" / "comparison.json")["rows"]
    return rows


def print_table(rows: Sequence[Row]) -> None:
    """Print the comparison, in percent."""
    table = Table(title="Accuracy in %: mean ± standard deviation over folds", box=None, padding=(0, 1, 0, 0))
    table.add_column("dataset", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for heading in ("out of fold", "test", "interval", "drop", "weights", "s/fold"):
        table.add_column(heading, justify="right", no_wrap=True)
    previous = rows[0]["dataset"] if rows else ""
    for row in rows:
        if row["dataset"] != previous:
            table.add_row()
        previous = row["dataset"]
        table.add_row(*_printed(row))
    console = Console()
    console.print(table)
    console.print(
        "interval: 95 %, for the choice of the test digits. drop: points of test accuracy lost from mnist.", style="dim"
    )


def _printed(row: Row) -> list[str]:
    drop = row["accuracy_drop"]
    return [
        row["dataset"],
        row["model"],
        f"{100 * row['cv_accuracy_mean']:.2f} ± {100 * row['cv_accuracy_sd']:.2f}",
        f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f}",
        f"{100 * row['test_accuracy_low']:.1f}–{100 * row['test_accuracy_high']:.1f}",
        "" if drop is None else f"{100 * drop:.2f}",
        f"{row['parameters'] / 1e6:.2f}M",
        f"{row['seconds_per_fold']:.1f}",
    ]

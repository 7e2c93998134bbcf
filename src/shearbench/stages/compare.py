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
    table = Table(title="Accuracy in %: mean ± standard deviation over folds; [95 % interval for the test digits]")
    table.add_column("dataset")
    table.add_column("model")
    for heading in ("cross-validated", "test", "interval", "drop from mnist", "parameters", "s / fold"):
        table.add_column(heading, justify="right")
    for place, row in enumerate(rows):
        ends_dataset = place + 1 == len(rows) or rows[place + 1]["dataset"] != row["dataset"]
        table.add_row(*_printed(row), end_section=ends_dataset)
    Console().print(table)


def _printed(row: Row) -> list[str]:
    drop = row["accuracy_drop"]
    return [
        row["dataset"],
        row["model"],
        f"{100 * row['cv_accuracy_mean']:.2f} ± {100 * row['cv_accuracy_sd']:.2f}",
        f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f}",
        rf"\[{100 * row['test_accuracy_low']:.1f}, {100 * row['test_accuracy_high']:.1f}]",
        "" if drop is None else f"{100 * drop:.2f}",
        f"{row['parameters']:,}",
        f"{row['seconds_per_fold']:.1f}",
    ]

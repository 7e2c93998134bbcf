"""The contents of ``build/comparison/`` for the report: tables as rows, figures with their data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shearbench.errors import InputError
from shearbench.predictions.evaluated import read_table
from shearbench.records import is_finished
from shearbench.report.blocks import Data, Picture

MISSING = "the comparison of the runs (`dvc repro compare`)"


def is_there(root: Path) -> bool:
    """Return True if the runs have been compared."""
    return is_finished(root / "build" / "comparison")


def rows_of(root: Path, name: str) -> list[dict[str, Any]]:
    """Read a table, ``<name>.csv``, row by row; an empty cell is NaN.

    Raises:
        InputError: if it is missing.
    """
    path = root / "build" / "comparison" / f"{name}.csv"
    if not path.is_file():
        raise InputError(f"{path} is missing, which the report shows; run `dvc repro`")
    return [{str(column): value for column, value in row.items()} for row in read_table(path).to_dict("records")]


def picture(root: Path, name: str, text: str, caption: str = "", data: Sequence[str] = ()) -> Picture:
    """Return ``figures/<name>.png``; ``data`` are the tables that it was drawn from.

    Raises:
        InputError: if a file is missing.
    """
    folder = root / "build" / "comparison"
    return Picture.of(folder / "figures" / f"{name}.png", text, caption, [folder / f"{each}.csv" for each in data])


def data(root: Path, name: str) -> list[Data]:
    """Return a table for download from the page."""
    return [Data.of(root / "build" / "comparison" / f"{name}.csv")]

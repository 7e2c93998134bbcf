"""Sections on ``build/comparison/``: their tables as rows, their figures with data, cells of means and intervals."""

from collections.abc import Callable, Sequence
from functools import wraps
from operator import itemgetter
from pathlib import Path
from typing import Any

from shearbench.errors import InputError
from shearbench.predictions.evaluated import read_table
from shearbench.records import is_finished
from shearbench.report import findings
from shearbench.report.blocks import Block, Cell, Column, Data, Picture, Pictures, Section, Table
from shearbench.report.pictures import missing

MISSING = "the comparison of the runs (`dvc repro compare`)"
Row = findings.Row
Rows = findings.Rows
Show = Callable[[Row], Cell | str]
"""A row of a table -> the cell of a column."""
Columns = dict[Column, Show]
Blocks = Callable[[Path, Rows], Sequence[Block]]
Read = Callable[[Path, Rows], Section]
RUN: Columns = {Column("dataset"): itemgetter("dataset"), Column("model"): itemgetter("model")}
"""The first columns of a table with a row per run."""


def section(anchor: str, title: str) -> Callable[[Blocks], Read]:
    """Make a section from a function that returns its blocks.

    Without ``build/comparison/`` the section has no blocks and names the command that makes it.
    """

    def made(blocks: Blocks) -> Read:
        @wraps(blocks)
        def read(root: Path, rows: Rows) -> Section:
            absent = missing(root, rows)
            if not is_finished(root / "build" / "comparison"):
                return Section(anchor, title, [], [MISSING, *absent])
            return Section(anchor, title, blocks(root, rows), absent)

        return read

    return made


def table(columns: Columns, rows: Rows, caption: str = "", data: Sequence[Data] = ()) -> Table:
    """Return a table from its columns with their cells."""
    return Table(tuple(columns), [[show(row) for show in columns.values()] for row in rows], caption, data)


def spread(name: str, form: str, factor: float = 1.0) -> Show:
    """Return the cells "mean ± standard deviation" of columns ``<name>_mean`` and ``<name>_sd``, times ``factor``."""

    def show(row: Row) -> Cell:
        mean, sd = factor * row[f"{name}_mean"], factor * row[f"{name}_sd"]
        return Cell(f"{mean:{form}} ± {sd:{form.lstrip('+')}}", mean)

    return show


def interval(mean: str, name: str = "") -> Show:
    """Return the cells "mean (low to high)" in percent, of columns ``mean``, ``<name>_low`` and ``<name>_high``."""

    def show(row: Row) -> Cell:
        low, high = (100 * row[f"{name or mean}_{end}"] for end in ("low", "high"))
        return Cell(f"{100 * row[mean]:.1f} ({low:.1f} to {high:.1f})", 100 * row[mean])

    return show


def number(name: str, form: str, factor: float = 1.0) -> Show:
    """Return the cells of a number times ``factor``."""
    return lambda row: Cell(f"{factor * row[name]:{form}}", row[name])


def percent(name: str) -> Show:
    """Return the cells of a share in percent."""
    return number(name, ".1f", 100)


def count(name: str) -> Show:
    """Return the cells of a number of samples or networks."""
    return number(name, ",.0f")


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


def wide(root: Path, name: str, text: str, data: Sequence[str] = ()) -> Pictures:
    """Return one figure of the comparison in the full width."""
    return Pictures([picture(root, name, text, data=data)], wide=True)


def data(root: Path, name: str) -> list[Data]:
    """Return a table for download from the page."""
    return [Data.of(root / "build" / "comparison" / f"{name}.csv")]

"""What sections are made of: evaluations and the comparison of runs, their tables as rows, figures with data, and cells
of means and intervals.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.errors import InputError
from shearbench.predictions.evaluated import read_table
from shearbench.records import is_finished, read_json, read_record
from shearbench.report import findings
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Section, Table

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
    """Return the cells "mean ± standard deviation" of columns ``<name>_mean`` and ``<name>_sd``, times ``factor``.

    Without a mean, a cell is empty.
    """

    def show(row: Row) -> Cell:
        mean, sd = factor * row[f"{name}_mean"], factor * row[f"{name}_sd"]
        if math.isnan(mean):
            return Cell("")
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
    return _rows(read_table(path))


def pairs_of_file(path: Path) -> Rows:
    """Return the compared pairs of a ``pairs.json``; empty if the file is missing."""
    return list(read_json(path)["rows"]) if path.is_file() else []


def rows_of_file(path: Path) -> Rows:
    """Return the rows of a CSV file; empty if the table is empty."""
    if path.stat().st_size <= 1:  # a table without rows
        return []
    return _rows(read_table(path))


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(column): value for column, value in row.items()} for row in table.to_dict("records")]


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


def evaluations(root: Path, rows: Rows) -> Iterator[tuple[Path, Row]]:
    """Yield folder and record of the evaluation of each evaluated run.

    Raises:
        InputError: if a record is damaged.
    """
    for row in rows:
        folder = root / "build" / "evaluation" / row["dataset"] / row["model"]
        if is_finished(folder):
            yield folder, read_record(folder)


def of_networks(root: Path, rows: Rows) -> list[tuple[Path, Row]]:
    """Return folder and record of each evaluated network; classifiers have no epochs and no layers."""
    return [(folder, record) for folder, record in evaluations(root, rows) if record["kind"] == "network"]


def without_layers(root: Path, rows: Rows) -> list[Block]:
    """Return a sentence with the runs that a section omits, because classifiers have no epochs or layers."""
    names = [
        f"{each['model']} on {each['dataset']}" for _, each in evaluations(root, rows) if each["kind"] != "network"
    ]
    return (
        [Prose(f"Without {', '.join(names)}: scikit-learn classifiers have no epochs and no layers.")] if names else []
    )


def missing(root: Path, rows: Rows) -> list[str]:
    """Return the runs without an evaluation, each with the command that makes it."""
    return [
        f"the evaluation of {row['model']} on {row['dataset']} (`dvc repro evaluate@{row['dataset']}-{row['model']}`)"
        for row in rows
        if not is_finished(root / "build" / "evaluation" / row["dataset"] / row["model"])
    ]


def per_dataset(pictures: Sequence[tuple[str, Picture]]) -> list[Block]:
    """Return a heading and the images of each dataset; ``pictures`` are (dataset, picture)."""
    blocks: list[Block] = []
    for dataset in dict.fromkeys(name for name, _ in pictures):
        blocks += [Heading(dataset), Pictures([image for name, image in pictures if name == dataset], wide=True)]
    return blocks


def figure_of_each(root: Path, rows: Rows, figure: str, text: str, data: Sequence[str]) -> list[Block]:
    """Return ``figures/<figure>.png`` of each evaluation, dataset by dataset; each run's name is added to ``text``.

    ``data`` are the files of an evaluation that its figure was drawn from.
    """
    pictures = []
    for folder, record in evaluations(root, rows):
        path = folder / "figures" / f"{figure}.png"
        if path.is_file():
            words = f"{text} of {record['model']} on {record['dataset']}"
            pictures.append((record["dataset"], Picture.of(path, words, data=[folder / name for name in data])))
    return per_dataset(pictures)

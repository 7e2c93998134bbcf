"""What the report says, read from the files of the pipeline: rows, sections and provenance.

Reads ``reports/comparison.json`` and ``pairs.json``, and what each section reads. A part that has not been made is
listed as missing and does not stop the report.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shearbench.errors import InputError
from shearbench.records import read_json
from shearbench.report.blocks import Data, Section, Table
from shearbench.report.findings import counted
from shearbench.report.overview import overview
from shearbench.report.pictures import evaluations
from shearbench.report.recipes import recipes
from shearbench.report.sections import SECTIONS


@dataclass(frozen=True)
class Contents:
    """Everything the page is made of."""

    rows: Sequence[Mapping[str, Any]]
    sections: Sequence[Section]
    overview: Table
    """A row a model: what a user chooses by."""
    recipes: Table
    """A row a run: what it was trained with."""
    provenance: Sequence[tuple[str, str]]
    pairs: Mapping[str, Any]
    """``rows`` of ``reports/pairs.json``, and ``refused``: why there are none."""
    tables: Sequence[Data]
    """The comparison, to be saved from the page."""
    commands: Sequence[str]
    """What makes the same again."""


def read(root: Path, seed: int) -> Contents:
    """Read what there is.

    Raises:
        InputError: if the comparison is missing, or a record is damaged.
    """
    rows = read_json(root / "reports" / "comparison.json")
    if not rows:
        raise InputError(
            f"{root / 'reports' / 'comparison.json'} has no rows; give params.yaml a run and run `dvc repro`"
        )
    records = [record for _, record in evaluations(root, rows)]
    with ThreadPoolExecutor() as pool:  # most of the time goes into pictures, which threads can work on at once
        sections = list(pool.map(lambda section: section(root, rows), SECTIONS))
    return Contents(
        rows,
        sections,
        overview(root, rows),
        recipes(root, rows),
        provenance=_provenance(records, rows, seed),
        pairs=read_json(root / "reports" / "pairs.json"),
        tables=[Data.of(root / "reports" / f"{name}.csv") for name in ("comparison", "pairs")],
        commands=_commands(records),
    )


def _commands(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the commands that make the same again, as far as one commit made it all."""
    commits = {record["training"]["commit"] for record in records}
    if len(commits) != 1 or not re.fullmatch("[0-9a-f]+", *commits):
        return ["make repro    # not from one commit, or from files that differ from it: see above"]
    return [f"git checkout {commits.pop()}", "make repro"]


def _provenance(
    records: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], seed: int
) -> list[tuple[str, str]]:
    """Return (what, value) pairs; where records differ all values are listed."""

    def every(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    trained = [record["training"] for record in records]
    networks = [row["folds"] * row["repeats"] for row in rows]
    seconds = sum(row["seconds_per_fold"] * count for row, count in zip(rows, networks, strict=True))
    hashes = [("training data", "data"), ("test data", "test")]
    return [
        ("seed", str(seed)),
        ("folds", every([counted(row) for row in rows])),
        ("code commit", every([each["commit"] for each in trained])),
        ("Python", every([each["python"] for each in trained])),
        ("libraries", every([f"{name} {number}" for each in trained for name, number in each["versions"].items()])),
        ("processor", every([f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in trained])),
        ("system", every([each["machine"]["system"] for each in trained])),
        ("time", f"{seconds / 60:.1f} minutes of training in all, for the {sum(networks)} networks of the comparison"),
        ("device and precision", every([f"{record['hardware']}" for record in records])),
        *(
            (f"hash of {name}", every([f"{record['dataset']} {record['hashes'][key][:16]}" for record in records]))
            for name, key in hashes
        ),
        ("hash of folds", every([record["hashes"]["folds"][:16] for record in records])),
    ]

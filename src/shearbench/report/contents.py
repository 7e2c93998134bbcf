"""What the report says, read from the files of the pipeline: rows, sections and provenance.

Reads ``reports/comparison.json`` and ``pairs.json``, and what each section reads. A part that has not been made is
listed as missing and does not stop the report.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shearbench.errors import InputError
from shearbench.records import read_json
from shearbench.report.blocks import Section
from shearbench.report.cells import evaluations
from shearbench.report.findings import counted
from shearbench.report.sections import SECTIONS


@dataclass(frozen=True)
class Contents:
    """Everything the page is made of."""

    rows: Sequence[Mapping[str, Any]]
    sections: Sequence[Section]
    provenance: Sequence[tuple[str, str]]
    pairs: Mapping[str, Any]
    """``rows`` of ``reports/pairs.json``, and ``refused``: why there are none."""

    @property
    def missing(self) -> list[str]:
        """What has not been made, each once."""
        return list(dict.fromkeys(each for section in self.sections for each in section.missing))


def read(root: Path, seed: int) -> Contents:
    """Read what there is.

    Raises:
        InputError: if the comparison is missing, or a record is damaged.
    """
    rows = read_json(root / "reports" / "comparison.json")
    if not rows:
        raise InputError(
            f"{root / 'reports' / 'comparison.json'} has no rows; give params.yaml a cell and run `dvc repro`"
        )
    records = [record for _, record in evaluations(root, rows)]
    with ThreadPoolExecutor() as pool:  # most of the time goes into pictures, which threads can work on at once
        sections = list(pool.map(lambda section: section(root, rows), SECTIONS))
    return Contents(rows, sections, _provenance(records, rows, seed), read_json(root / "reports" / "pairs.json"))


def _provenance(
    records: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], seed: int
) -> list[tuple[str, str]]:
    """Return (what, value) pairs; where records differ all values are listed."""

    def every(values: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    trained = [record["training"] for record in records]
    hashes = [("training data", "data"), ("test data", "test")]
    return [
        ("seed", str(seed)),
        ("folds", every([counted(row) for row in rows])),
        ("code commit", every([each["commit"] for each in trained])),
        ("Python", every([each["python"] for each in trained])),
        ("libraries", every([f"{name} {number}" for each in trained for name, number in each["versions"].items()])),
        ("processor", every([f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in trained])),
        ("system", every([each["machine"]["system"] for each in trained])),
        ("device and precision", every([f"{record['hardware']}" for record in records])),
        *(
            (f"hash of {name}", every([f"{record['dataset']} {record['hashes'][key][:16]}" for record in records]))
            for name, key in hashes
        ),
        ("hash of folds", every([record["hashes"]["folds"][:16] for record in records])),
    ]

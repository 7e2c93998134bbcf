"""What the report says, read from the files of the pipeline: rows, pictures and provenance, and sentences of numbers.

Reads ``reports/comparison.json`` and ``pairs.json``, ``build/evaluation/`` and ``build/explore/``. A part that has not
been made is listed as missing and does not stop the report.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shearbench.errors import InputError
from shearbench.records import is_finished, read_json, read_record

_DRAWN = {
    "learning_curves": "Learning curves",
    "confusion": "Confusion matrices",
    "per_class": "Scores of each class",
}
_EXPLORED = {
    "samples.png": "Eight samples of each class.",
    "samples_u_x.png": "Displacement along x of eight samples of each class.",
    "samples_u_y.png": "Displacement along y of eight samples of each class.",
    "samples_length.png": "Length of the displacement of eight samples of each class.",
    "displacement.png": "One digit of each class and its displacement.",
    "class_balance.png": "Digits of each class that each fold holds out.",
}


@dataclass(frozen=True)
class Picture:
    """An image in the page itself: a data URI, what it shows in words, and what stands below it, if anything."""

    source: str
    text: str
    caption: str = ""


@dataclass(frozen=True)
class CellPart:
    """What is shown of one cell."""

    dataset: str
    model: str
    pictures: Mapping[str, Picture]


@dataclass(frozen=True)
class DatasetPart:
    """What is shown of one dataset: facts as (name, value), pictures, and its row range in the comparison."""

    name: str
    facts: Sequence[tuple[str, str]]
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Contents:
    """Everything the page is made of."""

    rows: Sequence[Mapping[str, Any]]
    datasets: Sequence[DatasetPart]
    cells: Sequence[CellPart]
    provenance: Sequence[tuple[str, str]]
    missing: Sequence[str]
    pairs: Mapping[str, Any]
    """``rows`` of ``reports/pairs.json``, and ``refused``: why there are none."""


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
    pairs = read_json(root / "reports" / "pairs.json")
    names = list(dict.fromkeys(row["dataset"] for row in rows))
    missing: list[str] = []
    cells, records = [], []
    for row in rows:
        folder = root / "build" / "evaluation" / row["dataset"] / row["model"]
        if not is_finished(folder):
            missing.append(f"the evaluation of {row['model']} on {row['dataset']}")
            continue
        records.append(read_record(folder))
        cells.append(_cell(folder, records[-1]))
    datasets = [_dataset(root / "build" / "explore" / name, records, missing) for name in names]
    return Contents(rows, datasets, cells, _provenance(records, rows, seed), missing, pairs)


def _cell(folder: Path, record: Mapping[str, Any]) -> CellPart:
    cell = f"{record['model']} on {record['dataset']}"
    pictures = {
        name: _picture(folder / "figures" / f"{name}.png", f"{text} of {cell}") for name, text in _DRAWN.items()
    }
    attribution = _picture(folder / "figures" / "gradcam.png", f"Attribution maps of {cell}", _looks(record))
    return CellPart(record["dataset"], record["model"], {**pictures, "gradcam": attribution})


def _looks(record: Mapping[str, Any]) -> str:
    """Say by what method the maps were made, and why not by Grad-CAM where it does not apply."""
    attribution = record["probes"]["gradcam"]
    if attribution["skipped"]:
        return f"No Grad-CAM: {attribution['skipped']}."
    height, width = attribution["resolution"]
    return f"Grad-CAM on layer {attribution['layer']}, whose map is {height} × {width}."


def _dataset(folder: Path, records: Sequence[Mapping[str, Any]], missing: list[str]) -> DatasetPart:
    """Return what `explore` wrote; what is not there is added to ``missing``."""
    entries = [record["entry"] for record in records if record["dataset"] == folder.name]
    facts = [(key.replace("_", " "), str(value)) for key, value in (entries[0].items() if entries else ())]
    if (folder / "summary.json").is_file():
        facts += _summary_facts(read_json(folder / "summary.json"))
    else:
        missing.append(f"the exploration of {folder.name}")
    pictures = [
        _picture(folder / name, f"{folder.name}: {text}", text)
        for name, text in _EXPLORED.items()
        if (folder / name).is_file()
    ]
    return DatasetPart(folder.name, facts, pictures)


def _summary_facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    exact, near = summary["duplicates"]["exact"], summary["duplicates"]["near"]
    least, most = min(summary["per_class"]), max(summary["per_class"])
    return [
        ("training samples", f"{summary['samples']:,}"),
        ("samples a class", f"{least:,}" if least == most else f"{least:,} to {most:,}"),
        ("identical pairs", f"{exact['pairs']:,}, of them {exact['across_folds']:,} across folds"),
        (
            "near-duplicate pairs",
            f"{near['pairs']:,} (correlation at least {near['least_correlation']}), of them {near['across_folds']:,} "
            "across folds",
        ),
    ]


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
        ("folds", every([str(row["folds"]) for row in rows])),
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


def _picture(path: Path, text: str, caption: str = "") -> Picture:
    """Return a PNG file as part of the page."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return Picture(f"data:image/png;base64,{encoded}", text, caption)

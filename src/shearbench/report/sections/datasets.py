"""Datasets: the entry in ``params.yaml``, counts, duplicates and example samples."""

from pathlib import Path

import pandas as pd

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Facts, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.comparison import evaluations
from shearbench.report.findings import Row, Rows

_TEXT = "Figures and counts of duplicates are those of the training samples."
_FIELDS = "A sample and its displacement field have the same id, and one table of folds serves both."
_EXPLORED = {
    "samples.png": "Eight samples of each class.",
    "samples_u_x.png": "Displacement along x of eight samples of each class.",
    "samples_u_y.png": "Displacement along y of eight samples of each class.",
    "samples_length.png": "Length of the displacement of eight samples of each class.",
    "displacement.png": "One sample of each class and its displacement.",
    "duplicates.png": "The most similar pairs of samples on this dataset.",
    "class_balance.png": "Number of held-out samples by class and fold.",
}
_ROWS = ("displacement.png", "duplicates.png")
_SPLITS = {"out_of_fold": "training", "test": "test"}


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    entries = {record["dataset"]: record["entry"] for _, record in evaluations(root, rows)}
    has_fields = any("load" in entry for entry in entries.values())
    blocks: list[Block] = [Prose(f"{_TEXT} {_FIELDS}" if has_fields else _TEXT)]
    missing = []
    for name in dict.fromkeys(row["dataset"] for row in rows):
        facts = [(key.replace("_", " "), str(value)) for key, value in entries.get(name, {}).items()]
        folder = root / "build" / "explore" / name
        if (folder / "summary.json").is_file():
            facts += _summary(read_json(folder / "summary.json"))
        else:
            missing.append(f"the exploration of {name} (`dvc repro explore@{name}`)")
        blocks += [Heading(name), Facts(facts), *_balance(root, rows, name), *_pictures(folder)]
    return Section("datasets", "Datasets", blocks, missing)


def _pictures(folder: Path) -> list[Pictures]:
    """Return the figures that exist: squares side by side, and below them the rows of samples."""
    shown: dict[bool, list[Picture]] = {False: [], True: []}
    for file, text in _EXPLORED.items():
        if (folder / file).is_file():
            data = folder.glob(Path(file).with_suffix(".csv").name)
            shown[file in _ROWS].append(Picture.of(folder / file, f"{folder.name}: {text}", text, data))
    return [Pictures(pictures, wide) for wide, pictures in shown.items() if pictures]


def _balance(root: Path, rows: Rows, name: str) -> list[Table]:
    """Return the number of samples per class and split, if a run of the dataset was evaluated."""
    folders = [folder for folder, record in evaluations(root, rows) if record["dataset"] == name]
    if not folders:
        return []
    counts = pd.read_csv(folders[0] / "per_class.csv")
    classes = sorted(set(counts["class"]))
    columns = [Column("samples of class"), *(Column(str(label), True) for label in classes)]
    numbers = {title: counts[counts["split"] == split].sort_values("class")["n"] for split, title in _SPLITS.items()}
    return [Table(columns, [[title, *(Cell(f"{n:,}", n) for n in found)] for title, found in numbers.items()])]


def _summary(summary: Row) -> list[tuple[str, str]]:
    exact, near = summary["duplicates"]["exact"], summary["duplicates"]["near"]
    least, most = min(summary["per_class"]), max(summary["per_class"])
    return [
        ("training samples", f"{summary['samples']:,}"),
        ("samples a class", f"{least:,}" if least == most else f"{least:,} to {most:,}"),
        ("identical pairs", f"{exact['pairs']:,}, of them {exact['across_folds']:,} across folds"),
        (
            "near-duplicates (pairs that link each group)",
            f"{near['pairs']:,} (correlation at least {near['least_correlation']}), of them {near['across_folds']:,} "
            "across folds",
        ),
    ]

"""What each dataset is: its entry in ``params.yaml``, its counts and duplicates, and what its samples look like."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import read_json
from shearbench.report.blocks import Block, Facts, Heading, Picture, Pictures, Prose, Section
from shearbench.report.cells import evaluations

_TEXT = """The training part only. Sample ids are shared: a digit and its displacement field have the same id, and one
table of folds serves all datasets."""
_EXPLORED = {
    "samples.png": "Eight samples of each class.",
    "samples_u_x.png": "Displacement along x of eight samples of each class.",
    "samples_u_y.png": "Displacement along y of eight samples of each class.",
    "samples_length.png": "Length of the displacement of eight samples of each class.",
    "displacement.png": "One digit of each class and its displacement.",
    "class_balance.png": "Digits of each class that each fold holds out.",
}


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    blocks: list[Block] = [Prose(_TEXT)]
    missing = []
    entries = {record["dataset"]: record["entry"] for _, record in evaluations(root, rows)}
    for name in dict.fromkeys(row["dataset"] for row in rows):
        facts = [(key.replace("_", " "), str(value)) for key, value in entries.get(name, {}).items()]
        folder = root / "build" / "explore" / name
        if (folder / "summary.json").is_file():
            facts += _summary(read_json(folder / "summary.json"))
        else:
            missing.append(f"the exploration of {name} (`dvc repro explore@{name}`)")
        pictures = [
            Picture.of(folder / file, f"{name}: {text}", text)
            for file, text in _EXPLORED.items()
            if (folder / file).is_file()
        ]
        blocks += [Heading(name), Facts(facts), Pictures(pictures)]
    return Section("datasets", "Datasets", blocks, missing)


def _summary(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
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

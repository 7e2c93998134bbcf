"""Images of runs: the same figure of every model, dataset by dataset."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from shearbench.records import is_finished, read_record
from shearbench.report.blocks import Block, Heading, Picture, Pictures, Prose
from shearbench.report.findings import Row, Rows


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
    """Return ``figures/<figure>.png`` of each run, dataset by dataset.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
        figure: name of the figure in the folders of the evaluations.
        text: description of the figure; the run's name is added.
        data: files of the same folder that the figure was drawn from.
    """
    pictures = []
    for folder, record in evaluations(root, rows):
        path = folder / "figures" / f"{figure}.png"
        if path.is_file():
            words = f"{text} of {record['model']} on {record['dataset']}"
            pictures.append((record["dataset"], Picture.of(path, words, data=[folder / name for name in data])))
    return per_dataset(pictures)

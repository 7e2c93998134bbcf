"""Images of runs: the same figure of every model, dataset by dataset."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from shearbench.records import is_finished, read_record
from shearbench.report.blocks import Block, Heading, Picture, Pictures, Prose, Section
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


def section_of_figure(root: Path, rows: Rows, section: Section, figure: str, data: Sequence[str] = ()) -> Section:
    """Return ``section`` with one figure of each run added to its blocks, and with what is missing.

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
        section: with its title, which describes the figure, and its first blocks.
        figure: name of the figure in the folders of the evaluations.
        data: files of the same folder that the figure was drawn from.
    """
    drawn = []
    for folder, record in evaluations(root, rows):
        path = folder / "figures" / f"{figure}.png"
        if path.is_file():
            text = f"{section.title} of {record['model']} on {record['dataset']}"
            drawn.append((record["dataset"], Picture.of(path, text, data=[folder / name for name in data])))
    return Section(section.id, section.title, [*section.blocks, *per_dataset(drawn)], missing(root, rows))

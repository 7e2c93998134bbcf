"""Images of runs: the same figure of every model, dataset by dataset."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.records import is_finished, read_record
from shearbench.report.blocks import Block, Heading, Picture, Pictures, Prose, Section


def evaluations(root: Path, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield folder and record of the evaluation of each evaluated run.

    Raises:
        InputError: if a record is damaged.
    """
    for row in rows:
        folder = root / "build" / "evaluation" / row["dataset"] / row["model"]
        if is_finished(folder):
            yield folder, read_record(folder)


def of_networks(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Path, Mapping[str, Any]]]:
    """Return folder and record of each evaluated network; classifiers have no epochs and no layers."""
    return [(folder, record) for folder, record in evaluations(root, rows) if record["kind"] == "network"]


def without_layers(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return a sentence with the runs that a section omits, because classifiers have no epochs or layers."""
    names = [
        f"{each['model']} on {each['dataset']}" for _, each in evaluations(root, rows) if each["kind"] != "network"
    ]
    return (
        [Prose(f"Without {', '.join(names)}: scikit-learn classifiers have no epochs and no layers.")] if names else []
    )


def missing(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the runs without an evaluation, each with the command that makes it."""
    return [
        f"the evaluation of {row['model']} on {row['dataset']} (`dvc repro evaluate@{row['dataset']}-{row['model']}`)"
        for row in rows
        if not is_finished(root / "build" / "evaluation" / row["dataset"] / row["model"])
    ]


def per_dataset(pictures: Sequence[tuple[str, Picture]], *, wide: bool = False) -> list[Block]:
    """Return a heading and the images of each dataset; ``pictures`` are (dataset, picture)."""
    blocks: list[Block] = []
    for dataset in dict.fromkeys(name for name, _ in pictures):
        blocks += [Heading(dataset), Pictures([image for name, image in pictures if name == dataset], wide)]
    return blocks


def figure_of_each(
    root: Path, rows: Sequence[Mapping[str, Any]], figure: str, text: str, data: Sequence[str] = ()
) -> list[tuple[str, Picture]]:
    """Return ``figures/<figure>.png`` of each run as (dataset, picture).

    Args:
        root: the project's folder.
        rows: of ``reports/comparison.json``.
        figure: name of the figure in the folders of the evaluations.
        text: description of the figure; the run's name is added.
        data: files of the same folder that the figure was drawn from.
    """
    return [
        (
            record["dataset"],
            Picture.of(
                folder / "figures" / f"{figure}.png",
                f"{text} of {record['model']} on {record['dataset']}",
                data=[folder / name for name in data],
            ),
        )
        for folder, record in evaluations(root, rows)
        if (folder / "figures" / f"{figure}.png").is_file()
    ]


def section_of_figure(
    root: Path,
    rows: Sequence[Mapping[str, Any]],
    section: Section,
    figure: str,
    *,
    wide: bool = False,
    data: Sequence[str] = (),
) -> Section:
    """Return ``section`` with one figure of each run added to its blocks, and with what is missing."""
    drawn = per_dataset(figure_of_each(root, rows, figure, section.title, data), wide=wide)
    return Section(section.id, section.title, [*section.blocks, *drawn], missing(root, rows))

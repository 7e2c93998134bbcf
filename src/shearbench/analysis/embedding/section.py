"""Embedding: t-SNE of the penultimate layer, silhouette and purity."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Cell, Column, Pictures, Prose, Section, Table
from shearbench.report.pictures import of_networks, without_layers

_TITLE = "Embedding (t-SNE)"
_TEXT = """Each point is a test sample, with the same samples in every panel. t-SNE maps the input of the last layer of
fold 0's network to the plane. Distances and cluster sizes in such a figure mean little, so the numbers are computed
in that layer itself and for every network. The silhouette is 1 for distant classes and 0 for touching ones. The
purity is the share of a sample's 10 nearest neighbours with its class. The same numbers for the inputs are beside
them; the difference is the effect of learning."""
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("silhouette", True, "in the penultimate layer; ± standard deviation over the networks"),
    Column("purity", True, "in the penultimate layer; ± standard deviation over the networks"),
    Column("silhouette of the inputs", True),
    Column("purity of the inputs", True),
    Column("samples", True),
    Column("networks", True),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("embedding", _TITLE, [], (comparison.MISSING,))
    skipped = without_layers(root, rows)
    if not of_networks(root, rows):
        return Section("embedding", _TITLE, skipped)
    found = {(row["dataset"], row["model"], row["space"]): row for row in comparison.rows_of(root, "embedding")}
    runs = [(row["dataset"], row["model"], "penultimate") for row in rows]
    lines = [_row(found[run], found) for run in runs if run in found]
    words = "t-SNE of the penultimate layer of every network on every dataset"
    shown = comparison.picture(root, "embedding", words, data=["embedding"])
    return Section("embedding", _TITLE, [Prose(_TEXT), *skipped, Table(_COLUMNS, lines), Pictures([shown], wide=True)])


def _row(row: Mapping[str, Any], found: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> list[Cell | str]:
    seen = found[row["dataset"], row["model"], "inputs"]
    return [
        row["dataset"],
        row["model"],
        *(Cell(f"{row[f'{name}_mean']:.3f} ± {row[f'{name}_sd']:.3f}", row[f"{name}_mean"]) for name in _NUMBERS),
        *(Cell(f"{seen[f'{name}_mean']:.3f}", seen[f"{name}_mean"]) for name in _NUMBERS),
        Cell(str(row["n"]), row["n"]),
        Cell(str(row["networks"]), row["networks"]),
    ]


_NUMBERS = ("silhouette", "purity")

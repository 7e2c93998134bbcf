"""Embedding: t-SNE of the penultimate layer, silhouette and purity."""

from pathlib import Path

from shearbench.report.blocks import Block, Column, Prose
from shearbench.report.comparison import (
    RUN,
    Rows,
    count,
    number,
    of_networks,
    rows_of,
    section,
    spread,
    table,
    wide,
    without_layers,
)

_TEXT = """Each point is a test sample, with the same samples in every panel. t-SNE maps the input of the last layer of
fold 0's network to the plane. Distances and cluster sizes in such a figure mean little, so the numbers are computed
in that layer itself and for every network. The silhouette is 1 for distant classes and 0 for touching ones. The
purity is the share of a sample's 10 nearest neighbours with its class. The same numbers for the inputs are beside
them; the difference is the effect of learning."""
_COLUMNS = RUN | {
    Column("silhouette", True, "in the penultimate layer; ± standard deviation over the networks"): (
        spread("silhouette", ".3f")
    ),
    Column("purity", True, "in the penultimate layer; ± standard deviation over the networks"): spread("purity", ".3f"),
    Column("silhouette of the inputs", True): number("inputs_silhouette_mean", ".3f"),
    Column("purity of the inputs", True): number("inputs_purity_mean", ".3f"),
    Column("samples", True): count("n"),
    Column("networks", True): count("networks"),
}


@section("embedding", "Embedding (t-SNE)")
def read(root: Path, rows: Rows) -> list[Block]:
    """Return the text, the table of both spaces and the figure."""
    skipped = without_layers(root, rows)
    if not of_networks(root, rows):
        return skipped
    found = {(row["dataset"], row["model"], row["space"]): row for row in rows_of(root, "embedding")}
    runs = [(row["dataset"], row["model"]) for row in rows]
    lines = [
        found[*run, "penultimate"] | {f"inputs_{name}": value for name, value in found[*run, "inputs"].items()}
        for run in runs
        if (*run, "inputs") in found
    ]
    shown = wide(root, "embedding", "t-SNE of the penultimate layer of every network on every dataset", ["embedding"])
    return [Prose(_TEXT), *skipped, table(_COLUMNS, lines), shown]

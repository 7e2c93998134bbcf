"""The report's sections on feature maps and the embedding."""

from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Column, Pictures, Prose

_FEATURE_MAPS = """\
The same sample as an image and as a field, through the networks of fold 0. Of the convolutions with equal
map resolution the last is shown, and of its channels those with the largest variance over the picture. Channels of
two networks do not correspond. Their resolution, and the layer at which the stroke disappears, can be compared."""


@page.section("feature-maps", "Feature maps")
def feature_maps(root: Path, rows: page.Rows) -> list[Block]:
    """Return the text and a figure of each model with convolutions."""
    skipped = {
        record["model"]: record["measurements"]["feature_maps"]["skipped"] for _, record in page.of_networks(root, rows)
    }
    without = [model for model, reason in skipped.items() if reason]
    text = _FEATURE_MAPS + (f" Without convolutions and not shown: {', '.join(without)}." if without else "")
    pictures = [
        page.picture(root, f"feature_maps_{model}", f"Feature maps of {model} on every dataset")
        for model, reason in skipped.items()
        if not reason
    ]
    return [Prose(text), *page.without_layers(root, rows), Pictures(pictures, wide=True)]


_EMBEDDING = """\
Each point is a test sample, with the same samples in every panel. t-SNE maps the input of the last layer of
fold 0's network to the plane. Distances and cluster sizes in such a figure mean little, so the numbers are computed
in that layer itself and for every network. The silhouette is 1 for distant classes and 0 for touching ones. The
purity is the share of a sample's 10 nearest neighbours with its class. The same numbers for the inputs are beside
them; the difference is the effect of learning."""
_SEPARATION = page.RUN | {
    Column("silhouette", True, "in the penultimate layer; ± standard deviation over the networks"): (
        page.spread("silhouette", ".3f")
    ),
    Column("purity", True, "in the penultimate layer; ± standard deviation over the networks"): (
        page.spread("purity", ".3f")
    ),
    Column("silhouette of the inputs", True): page.number("inputs_silhouette_mean", ".3f"),
    Column("purity of the inputs", True): page.number("inputs_purity_mean", ".3f"),
    Column("samples", True): page.count("n"),
    Column("networks", True): page.count("networks"),
}


@page.section("embedding", "Embedding (t-SNE)")
def embedding(root: Path, rows: page.Rows) -> list[Block]:
    """Return the text, the table of both spaces and the figure."""
    skipped = page.without_layers(root, rows)
    if not page.of_networks(root, rows):
        return skipped
    found = {(row["dataset"], row["model"], row["space"]): row for row in page.rows_of(root, "embedding")}
    runs = [(row["dataset"], row["model"]) for row in rows]
    lines = [
        found[*run, "penultimate"] | {f"inputs_{name}": value for name, value in found[*run, "inputs"].items()}
        for run in runs
        if (*run, "inputs") in found
    ]
    shown = page.wide(
        root, "embedding", "t-SNE of the penultimate layer of every network on every dataset", ["embedding"]
    )
    return [Prose(_EMBEDDING), *skipped, page.table(_SEPARATION, lines), shown]

"""Grad-CAM or saliency maps of every cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Picture, Prose, Section
from shearbench.report.cells import evaluations, missing, per_dataset

_TEXT = """One test digit of each class, the one with the lowest id, is the same for every network, fold and dataset. A
map shows where evidence for the true class comes from; two folds are shown, because what differs between them is not a
property of the architecture."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    pictures = []
    for folder, record in evaluations(root, rows):
        text = f"Attribution maps of {record['model']} on {record['dataset']}"
        pictures.append((record["dataset"], Picture.of(folder / "figures" / "gradcam.png", text, _method(record))))
    blocks = [Prose(_TEXT), *per_dataset(pictures, wide=True)]
    return Section("attribution", "Where they look", blocks, missing(root, rows))


def _method(record: Mapping[str, Any]) -> str:
    """Say by what method the maps were made, and why not by Grad-CAM where it does not apply."""
    facts = record["probes"]["gradcam"]
    if facts["skipped"]:
        return f"No Grad-CAM: {facts['skipped']}."
    height, width = facts["resolution"]
    return f"Grad-CAM on layer {facts['layer']}, whose map is {height} × {width}."

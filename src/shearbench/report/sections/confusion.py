"""Confusion matrices of every cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Prose, Section
from shearbench.report.cells import section_of_figure

_TEXT = """Out of fold, each training digit is read once, by the network that has not seen it. Each test digit is read
by the network of every fold. Colour and upper number are shares of the true class in %, the lower number counts
digits."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    section = Section("confusion", "Confusion", [Prose(_TEXT)])
    data = ["confusion_out_of_fold.csv", "confusion_test.csv"]
    return section_of_figure(root, rows, section, "confusion", wide=True, data=data)

"""Scores of each class, for every cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Prose, Section
from shearbench.report.cells import section_of_figure


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    text = "Dots are means over the folds, bars one standard deviation."
    section = Section("classes", "Each class", [Prose(text)])
    return section_of_figure(root, rows, section, "per_class", data=["per_class.csv"])

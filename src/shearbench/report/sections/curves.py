"""Learning curves of every cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Prose, Section
from shearbench.report.cells import section_of_figure

_TEXT = """Lines are means over the folds, bands one standard deviation. Train is the running mean of the epoch, in
training mode (with dropout, before the epoch's last step); validation is measured after it. Where training stops early,
later epochs stand on fewer folds."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    section = Section("curves", "Learning curves", [Prose(_TEXT)])
    return section_of_figure(root, rows, section, "learning_curves", data=["learning_curves.csv"])

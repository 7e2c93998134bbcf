"""Accuracy of every model under Gaussian noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Pictures, Prose, Section, Table

_TITLE = "Noise"
_NOISE = """Accuracy under Gaussian noise on the inputs. Top: noise in units of the deviation between samples, which is
the root mean square, over the pixels of a channel, of the standard deviation over the test samples. At 1 the noise
equals the differences between samples, on every dataset. Bottom: noise in the input's own units, as in a study. There
the datasets cannot be compared, because displacements differ between samples by a few hundredths of a pixel. The
network of each fold predicts its own share of the test samples. Bands are one standard deviation over networks and
draws of the noise, which is the same for every network of a fold."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("noise", _TITLE, [], (comparison.MISSING,))
    return Section("noise", _TITLE, _noise(root))


def _noise(root: Path) -> list[Block]:
    rows = [row for row in comparison.rows_of(root, "noise") if row["scale"] == "own"]
    levels = sorted({float(row["level"]) for row in rows})
    columns = [Column("dataset"), Column("model"), *(Column(f"{level:g}", True) for level in levels)]
    found = {(row["dataset"], row["model"], float(row["level"])): row for row in rows}
    runs = list(dict.fromkeys((row["dataset"], row["model"]) for row in rows))
    lines = [[dataset, model, *(_spread(found[dataset, model, level]) for level in levels)] for dataset, model in runs]
    caption = (
        f"Accuracy in % against the noise in units of the deviation between samples; ± is the standard deviation "
        f"over {max(row['readings'] for row in rows)} readings (networks x draws) of {min(row['n'] for row in rows)} "
        "samples."
    )
    shown = comparison.picture(root, "noise", "Accuracy of every network against Gaussian noise", data=["noise"])
    return [Prose(_NOISE), Pictures([shown], wide=True), Table(columns, lines, caption)]


def _spread(row: Mapping[str, Any]) -> Cell:
    return Cell(f"{100 * row['accuracy_mean']:.1f} ± {100 * row['accuracy_sd']:.1f}", row["accuracy_mean"])

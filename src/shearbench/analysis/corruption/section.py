"""Accuracy of every model under corruptions, and the mean corruption error."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Pictures, Prose, Section, Table

_TITLE = "Corruptions"
_CORRUPTIONS = """Each corruption has five severities. Its random part for a sample (a direction, a place) is the same
for every network of a fold and at all severities. The mean corruption error (mCE, Hendrycks and Dietterich 2019) is
the error under a corruption, summed over its severities, relative to the error of `{baseline}` on the same samples,
and averaged over the corruptions. Below 100 % means less fragile than `{baseline}`."""
_PHYSICAL = """Fields are corrupted as measurements are. A rigid offset or rotation of the whole block changes no
strain, and a slightly larger or smaller load scales a field without changing the sample. A model that knew its
mechanics would lose nothing in these three. Lengths are in units of the imposed displacement."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("corruption", _TITLE, [], (comparison.MISSING,))
    return Section("corruption", _TITLE, _corruptions(root, rows))


_ERRORS = (
    Column("dataset"),
    Column("model"),
    Column("clean error", True, "error on the same samples without corruption, in %"),
    Column("corrupted error", True, "mean over corruptions and severities, in %"),
    Column("mCE", True, "mean corruption error, in % of the baseline; 95 % jackknife interval over the networks"),
    Column("hardest", help="the corruption with the largest error"),
    Column("samples", True),
    Column("networks", True),
)


def _corruptions(root: Path, rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    errors = comparison.rows_of(root, "corruption_error")
    shown = [_error_row(row, errors) for row in errors if row["corruption"] == "all"]
    text = _CORRUPTIONS.format(baseline=errors[0]["baseline"])
    table = Table(_ERRORS, shown, data=comparison.data(root, "corruption_error"))
    pictures = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        words = f"Accuracy under each corruption of {dataset} at five severities"
        pictures.append(comparison.picture(root, f"corruption_{dataset}", words, words + ".", ["corruptions"]))
        words = f"One sample of {dataset} under each corruption"
        pictures.append(comparison.picture(root, f"corruption_samples_{dataset}", words, words + "."))
    return [Prose(text), Prose(_PHYSICAL), table, Pictures(pictures, wide=True)]


def _error_row(row: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]) -> list[Cell | str]:
    run = (row["dataset"], row["model"])
    kinds = [each for each in errors if (each["dataset"], each["model"]) == run and each["corruption"] != "all"]
    hardest = max(kinds, key=lambda each: each["error"])
    relative = "no baseline"
    if not math.isnan(row["relative"]):
        relative = f"{100 * row['relative']:.0f} ({100 * row['low']:.0f} to {100 * row['high']:.0f})"
    return [
        *run,
        Cell(f"{100 * row['clean_error']:.1f}", row["clean_error"]),
        Cell(f"{100 * row['error']:.1f}", row["error"]),
        Cell(relative, row["relative"] if relative != "no baseline" else None),
        f"{hardest['corruption']} ({100 * hardest['error']:.0f} %)",
        Cell(f"{row['samples']:,}", row["samples"]),
        Cell(str(row["networks"]), row["networks"]),
    ]

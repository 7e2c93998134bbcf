"""How much the networks stand: noise, corruptions, other loads, other datasets."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table

_TITLE = "Robustness"
_NOISE = """Gaussian noise is added to what a network reads, and its accuracy followed. Above, the noise is in units of
the deviation between digits: the root mean square, over the pixels of a channel, of the standard deviation over the
test digits. At 1 the noise is as large as what tells the digits apart, on every dataset. Below, it is in the input's
own units, as a study adds it; there the datasets cannot be compared, because a displacement differs between digits by
a few hundredths of a pixel. Each fold's network reads its own share of the test digits; bands are one standard
deviation over networks and draws of the noise, which is the same for every network of a fold."""
_CORRUPTIONS = """Each corruption has five severities; what is drawn for a digit (a direction, a place) is the same for
every network of a fold, and at all severities, only more. The mean corruption error (mCE, Hendrycks and Dietterich
2019) is the error under a corruption, summed over its severities, relative to that of the `{baseline}` on the same
digits, and averaged over the corruptions: below 100 % is less fragile than the `{baseline}`."""
_PHYSICAL = """Fields are corrupted as measurements are. A rigid offset or rotation of the whole block changes no
strain, and a slightly larger or smaller load scales a field and leaves the digit as it is: a reader that knew its
mechanics would lose nothing in these three. Lengths are in units of the displacement that the load imposes."""
_SEVERITY = """Networks of fields were trained at one displacement. Here they read the same test digits at every
published step of their load: as measured, and divided by the load, that is multiplied by own displacement /
displacement of the step, which is what a user who knows the load can do, and exact as long as the material is
linear."""
_TRANSFER = """Each network reads the test digits of the other datasets, normalised by its own normaliser and by one of
the same kind refitted to the training digits of the dataset that is read. A one-channel image is doubled for a network
of two channels."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("robustness", _TITLE, [], (comparison.MISSING,))
    blocks = [*_noise(root), *_corruptions(root, rows), *_severity(root), *_transfer(root)]
    return Section("robustness", _TITLE, blocks)


def _noise(root: Path) -> list[Block]:
    rows = [row for row in comparison.rows_of(root, "noise") if row["scale"] == "own"]
    levels = sorted({float(row["level"]) for row in rows})
    columns = [Column("dataset"), Column("model"), *(Column(f"{level:g}", True) for level in levels)]
    found = {(row["dataset"], row["model"], float(row["level"])): row for row in rows}
    runs = list(dict.fromkeys((row["dataset"], row["model"]) for row in rows))
    lines = [[dataset, model, *(_spread(found[dataset, model, level]) for level in levels)] for dataset, model in runs]
    caption = (
        f"Accuracy in % against the noise in units of the deviation between digits; ± is the standard deviation over "
        f"{max(row['readings'] for row in rows)} readings (networks x draws) of {min(row['n'] for row in rows)} digits."
    )
    shown = comparison.picture(root, "noise", "Accuracy of every network against Gaussian noise", data=["noise"])
    return [Heading("Noise"), Prose(_NOISE), Pictures([shown], wide=True), Table(columns, lines, caption)]


def _spread(row: Mapping[str, Any]) -> Cell:
    return Cell(f"{100 * row['accuracy_mean']:.1f} ± {100 * row['accuracy_sd']:.1f}", row["accuracy_mean"])


_ERRORS = (
    Column("dataset"),
    Column("model"),
    Column("clean error", True, "share of the same digits misread as they are, in %"),
    Column("corrupted error", True, "mean over corruptions and severities, in %"),
    Column("mCE", True, "mean corruption error, in % of the baseline's; 95 % jackknife interval over the networks"),
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
        words = f"One digit of {dataset} under each corruption"
        pictures.append(comparison.picture(root, f"corruption_samples_{dataset}", words, words + "."))
    return [Heading("Corruptions"), Prose(text), Prose(_PHYSICAL), table, Pictures(pictures, wide=True)]


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


def _severity(root: Path) -> list[Block]:
    rows = comparison.rows_of(root, "severity")
    if not rows:
        return []
    words = "Accuracy of networks of fields at every step of their load"
    shown = comparison.picture(root, "severity", words, data=["severity"])
    return [Heading("Other loads"), Prose(_SEVERITY), Pictures([shown], wide=True)]


_READS = (
    Column("dataset", help="what the networks were trained on"),
    Column("model"),
    Column("reads"),
    Column("normalisation"),
    Column("accuracy", True, "mean over the networks, in %; 95 % Wilson interval for the digits"),
    Column("samples", True),
)


def _transfer(root: Path) -> list[Block]:
    rows = comparison.rows_of(root, "transfer")
    if not rows:
        return []
    lines = [_transfer_row(row) for row in rows if not isinstance(row["skipped"], str)]
    left_out = dict.fromkeys(
        f"{row['reads']} by a network of {row['dataset']}: {row['skipped']}"
        for row in rows
        if isinstance(row["skipped"], str)
    )
    said = [Prose(f"Not read: {'; '.join(left_out)}.")] if left_out else []
    table = [Table(_READS, lines, data=comparison.data(root, "transfer"))] if lines else []
    return [Heading("Other datasets"), Prose(_TRANSFER), *said, *table]


def _transfer_row(row: Mapping[str, Any]) -> list[Cell | str]:
    names = [row["dataset"], row["model"], row["reads"], row["normalisation"]]
    low, high = 100 * row["accuracy_low"], 100 * row["accuracy_high"]
    accuracy = Cell(f"{100 * row['accuracy_mean']:.1f} ({low:.1f} to {high:.1f})", row["accuracy_mean"])
    return [*names, accuracy, Cell(f"{row['n']:.0f}", row["n"])]

"""The report's sections on noise and corruptions."""

import math
from operator import itemgetter
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Pictures, Prose, Table

_NOISE = """Accuracy under Gaussian noise on the inputs. Top: noise in units of the deviation between samples, which is
the root mean square, over the pixels of a channel, of the standard deviation over the test samples. At 1 the noise
equals the differences between samples, on every dataset. Bottom: noise in the input's own units, as in a study. There
the datasets cannot be compared, because displacements differ between samples by a few hundredths of a pixel. The
network of each fold predicts its own share of the test samples. Bands are one standard deviation over networks and
draws of the noise, which is the same for every network of a fold."""
_CORRUPTIONS = """Each corruption has five severities. Its random part for a sample (a direction, a place) is the same
for every network of a fold and at all severities. The mean corruption error (mCE, Hendrycks and Dietterich 2019) is
the error under a corruption, summed over its severities, relative to the error of `{baseline}` on the same samples,
and averaged over the corruptions. Below 100 % means fewer errors than `{baseline}`. The errors without corruption
count too."""
_PHYSICAL = """Fields are corrupted as measurements are. A rigid offset or rotation of the whole block changes no
strain, and a slightly larger or smaller load scales a field without changing the sample. A model that knew its
mechanics would lose nothing in these three. Lengths are in units of the imposed displacement."""


@page.section("noise", "Noise")
def noise(root: Path, _: page.Rows) -> list[Block]:
    """Return the text, the figure and the table of noise in units of the deviation."""
    rows = [row for row in page.rows_of(root, "noise") if row["scale"] == "own"]
    levels = sorted({float(row["level"]) for row in rows})
    columns = [Column("dataset"), Column("model"), *(Column(f"{level:g}", True) for level in levels)]
    found = {(row["dataset"], row["model"], float(row["level"])): row for row in rows}
    runs = dict.fromkeys((row["dataset"], row["model"]) for row in rows)
    lines = [[*run, *(_spread(found[*run, level]) for level in levels)] for run in runs]
    caption = (
        f"Accuracy in % against the noise in units of the deviation between samples; ± is the standard deviation "
        f"over {max(row['readings'] for row in rows)} evaluations (networks x draws) of "
        f"{min(row['n'] for row in rows)} samples."
    )
    shown = page.wide(root, "noise", "Accuracy of every network against Gaussian noise", ["noise"])
    return [Prose(_NOISE), shown, Table(columns, lines, caption)]


def _spread(row: page.Row) -> Cell:
    return Cell(f"{100 * row['accuracy_mean']:.1f} ± {100 * row['accuracy_sd']:.1f}", row["accuracy_mean"])


@page.section("corruption", "Corruptions")
def corruption(root: Path, rows: page.Rows) -> list[Block]:
    """Return the text, the table of errors and two figures of each dataset."""
    errors = page.rows_of(root, "corruption_error")
    shown = [{**row, "hardest": _hardest(row, errors)} for row in errors if row["corruption"] == "all"]
    pictures = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        words = f"Accuracy under each corruption of {dataset} at five severities"
        pictures.append(page.picture(root, f"corruption_{dataset}", words, words + ".", ["corruptions"]))
        words = f"One sample of {dataset} under each corruption"
        pictures.append(page.picture(root, f"corruption_samples_{dataset}", words, words + "."))
    return [
        Prose(_CORRUPTIONS.format(baseline=errors[0]["baseline"])),
        *([Prose(_PHYSICAL)] if any(row["corruption"] == "rigid offset" for row in errors) else []),
        page.table(_ERRORS, shown, data=page.data(root, "corruption_error")),
        Pictures(pictures, wide=True),
    ]


def _hardest(row: page.Row, errors: page.Rows) -> str:
    """Return the corruption with the largest error of a run."""
    run = (row["dataset"], row["model"])
    of_run = [each for each in errors if (each["dataset"], each["model"]) == run and each["corruption"] != "all"]
    hardest = max(of_run, key=lambda each: float(each["error"]))
    return f"{hardest['corruption']} ({100 * hardest['error']:.0f} %)"


def _relative(row: page.Row) -> Cell:
    if math.isnan(row["relative"]):
        return Cell("no baseline")
    mean, low, high = (100 * row[name] for name in ("relative", "low", "high"))
    return Cell(f"{mean:.0f} ({low:.0f} to {high:.0f})", row["relative"])


_ERRORS = page.RUN | {
    Column("clean error", True, "error on the same samples without corruption, in %"): page.percent("clean_error"),
    Column("corrupted error", True, "mean over corruptions and severities, in %"): page.percent("error"),
    Column("mCE", True, "mean corruption error, in % of the baseline; 95 % jackknife interval over the networks"): (
        _relative
    ),
    Column("hardest", help="the corruption with the largest error"): itemgetter("hardest"),
    Column("samples", True): page.count("samples"),
    Column("networks", True): page.count("networks"),
}

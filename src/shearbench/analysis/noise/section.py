"""Accuracy of every model under Gaussian noise."""

from pathlib import Path

from shearbench.report.blocks import Block, Cell, Column, Prose, Table
from shearbench.report.comparison import Row, Rows, rows_of, section, wide

_NOISE = """Accuracy under Gaussian noise on the inputs. Top: noise in units of the deviation between samples, which is
the root mean square, over the pixels of a channel, of the standard deviation over the test samples. At 1 the noise
equals the differences between samples, on every dataset. Bottom: noise in the input's own units, as in a study. There
the datasets cannot be compared, because displacements differ between samples by a few hundredths of a pixel. The
network of each fold predicts its own share of the test samples. Bands are one standard deviation over networks and
draws of the noise, which is the same for every network of a fold."""


@section("noise", "Noise")
def read(root: Path, _: Rows) -> list[Block]:
    """Return the text, the figure and the table of noise in units of the deviation."""
    rows = [row for row in rows_of(root, "noise") if row["scale"] == "own"]
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
    shown = wide(root, "noise", "Accuracy of every network against Gaussian noise", ["noise"])
    return [Prose(_NOISE), shown, Table(columns, lines, caption)]


def _spread(row: Row) -> Cell:
    return Cell(f"{100 * row['accuracy_mean']:.1f} ± {100 * row['accuracy_sd']:.1f}", row["accuracy_mean"])

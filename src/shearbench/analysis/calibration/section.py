"""Calibration before and after temperature scaling, and accuracy against coverage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report import comparison
from shearbench.report.blocks import Block, Cell, Column, Heading, Pictures, Prose, Section, Table
from shearbench.report.pictures import missing

_TITLE = "Calibration and abstention"
_TEXT = """A network is calibrated if it predicts 80 % correctly of the samples that it predicts with a confidence of
80 %. The calibration error (ECE) is the mean distance between the two, over 15 bins of equal width. It is above 0 for
a perfectly calibrated network too; chance gives that value. NLL is the mean cross-entropy in nats; the Brier score is
the squared distance from the truth, 0 to 2. The temperature of each network is fitted to the out-of-fold samples of
its fold and applied to the test samples. Above 1 means that the network was overconfident. It changes no prediction."""
_COVERAGE = """A network that may abstain predicts only its most confident samples. Coverage is the share that it
predicts. Accuracy is on those samples, before temperature scaling, which hardly changes the order."""
_GUARANTEE = """`shearbench predict` answers with one network, where its confidence reaches a threshold. Demanded is
the accuracy of the answers that `predict.accuracy` asks for. The threshold is chosen on out-of-fold samples so that the
accuracy on new samples is at least the guaranteed one, with probability 95 % (Geifman and El-Yaniv 2017). Observed is
the accuracy of the answers on the test set, which had no say in the threshold."""
_GUARANTEED = (
    Column("dataset"),
    Column("model"),
    Column("demanded", True, "accuracy of the answers in %, predict.accuracy of params.yaml"),
    Column("guaranteed", True, "in %, with probability 95 %; none: no threshold is good enough, nothing is answered"),
    Column("coverage", True, "share of the test samples that are answered, in %"),
    Column("observed", True, "accuracy of the answers on the test set, in %"),
    Column("n", True, "answered test samples"),
)
_SCORES = (
    Column("dataset"),
    Column("model"),
    Column("temperature", True, "mean ± standard deviation over the networks"),
    Column("ECE before", True, "in %; in brackets the value of a calibrated network by chance"),
    Column("ECE after", True, "in %; in brackets the value of a calibrated network by chance"),
    Column("NLL before", True, "in nats"),
    Column("NLL after", True, "in nats"),
    Column("Brier before", True),
    Column("Brier after", True),
)
_COVERAGES = (100, 95, 90, 80)
_ECE = (("", "mean"), ("", "sd"), ("_by_chance", "mean"))


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    if not comparison.is_there(root):
        return Section("calibration", _TITLE, [Prose(_TEXT)], [comparison.MISSING, *missing(root, rows)])
    return Section("calibration", _TITLE, [Prose(_TEXT), *_side_by_side(root, rows)], missing(root, rows))


def _side_by_side(root: Path, compared: Sequence[Mapping[str, Any]]) -> list[Block]:
    rows = comparison.rows_of(root, "calibration")
    words = "Reliability before and after temperature scaling, and accuracy against coverage, datasets side by side"
    data = comparison.data(root, "calibration")
    scored = (
        f"Before and after temperature scaling, on {rows[0]['n']:,} test samples; mean ± standard deviation over "
        f"{rows[0]['networks']} networks."
    )
    answers = [Column("dataset"), Column("model"), *(Column(f"{each} %", True) for each in _COVERAGES)]
    caption = "Accuracy in % on the predicted test samples, by coverage; 95 % Wilson interval."
    return [
        Pictures([comparison.picture(root, "calibration", words)], wide=True),
        Table(_SCORES, [_row(row) for row in rows], scored, data),
        Heading("Abstaining"),
        Prose(_COVERAGE),
        Table(answers, [_answers(row) for row in rows], caption),
        *_guaranteed(compared),
    ]


def _guaranteed(compared: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Return the text and table of abstention; nothing for a comparison without abstention."""
    body: list[list[Cell | str]] = [
        [
            row["dataset"],
            row["model"],
            *(_percent(row[f"abstention_{name}"]) for name in ("demanded", "guaranteed", "coverage", "observed")),
            Cell(f"{row['abstention_answered']:,}", row["abstention_answered"]),
        ]
        for row in compared
        if "abstention_demanded" in row
    ]
    return [Prose(_GUARANTEE), Table(_GUARANTEED, body)] if body else []


def _percent(share: float | None) -> Cell:
    return Cell("none") if share is None else Cell(f"{100 * share:.1f}", share)


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    return [
        row["dataset"],
        row["model"],
        _spread(row, "temperature", ".2f"),
        *(_error(row, stage) for stage in ("before", "after")),
        *(_spread(row, f"{score}_{stage}", ".3f") for score in ("nll", "brier") for stage in ("before", "after")),
    ]


def _error(row: Mapping[str, Any], stage: str) -> Cell:
    mean, sd, chance = (100 * row[f"ece{name}_{stage}_{part}"] for name, part in _ECE)
    return Cell(f"{mean:.1f} ± {sd:.1f} ({chance:.1f})", mean)


def _spread(row: Mapping[str, Any], name: str, form: str) -> Cell:
    return Cell(f"{row[f'{name}_mean']:{form}} ± {row[f'{name}_sd']:{form}}", row[f"{name}_mean"])


def _answers(row: Mapping[str, Any]) -> list[Cell | str]:
    cells = []
    for coverage in _COVERAGES:
        mean, low, high = (100 * row[f"accuracy_at_{coverage}{end}"] for end in ("", "_low", "_high"))
        cells.append(Cell(f"{mean:.1f} ({low:.1f} to {high:.1f})", mean))
    return [row["dataset"], row["model"], *cells]

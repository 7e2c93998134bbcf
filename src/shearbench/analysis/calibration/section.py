"""The report's section on calibration and abstention."""

from functools import partial
from pathlib import Path

from shearbench.report import comparison as page
from shearbench.report.blocks import Block, Cell, Column, Heading, Prose

_CALIBRATION = """\
A network is calibrated if it predicts 80 % correctly of the samples that it predicts with a confidence of
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


@page.section("calibration", "Calibration and abstention")
def calibration(root: Path, compared: page.Rows) -> list[Block]:
    """Return calibration, accuracy by coverage and, where it was chosen, the threshold for abstention."""
    rows = page.rows_of(root, "calibration")
    words = "Reliability before and after temperature scaling, and accuracy against coverage, datasets side by side"
    scored = (
        f"Before and after temperature scaling, on {rows[0]['n']:,} test samples; mean ± standard deviation over "
        f"{rows[0]['networks']} networks."
    )
    caption = "Accuracy in % on the predicted test samples, by coverage; 95 % Wilson interval."
    guaranteed = [row for row in compared if "abstention_demanded" in row]
    blocks: list[Block] = [
        Prose(_CALIBRATION),
        page.wide(root, "calibration", words),
        page.table(_CALIBRATED, rows, scored, page.data(root, "calibration")),
        Heading("Abstaining"),
        Prose(_COVERAGE),
        page.table(_COVERAGES, rows, caption),
    ]
    return [*blocks, Prose(_GUARANTEE), page.table(_GUARANTEED, guaranteed)] if guaranteed else blocks


def _ece(stage: str, row: page.Row) -> Cell:
    names = (f"ece_{stage}_mean", f"ece_{stage}_sd", f"ece_by_chance_{stage}_mean")
    mean, sd, chance = (100 * row[name] for name in names)
    return Cell(f"{mean:.1f} ± {sd:.1f} ({chance:.1f})", mean)


def _share(name: str, row: page.Row) -> Cell | str:
    return "none" if row[f"abstention_{name}"] is None else page.percent(f"abstention_{name}")(row)


_CALIBRATED = page.RUN | {
    Column("temperature", True, "mean ± standard deviation over the networks"): page.spread("temperature", ".2f"),
    Column("ECE before", True, "in %; in brackets that of a calibrated network by chance"): partial(_ece, "before"),
    Column("ECE after", True, "in %; in brackets that of a calibrated network by chance"): partial(_ece, "after"),
    Column("NLL before", True, "in nats"): page.spread("nll_before", ".3f"),
    Column("NLL after", True, "in nats"): page.spread("nll_after", ".3f"),
    Column("Brier before", True): page.spread("brier_before", ".3f"),
    Column("Brier after", True): page.spread("brier_after", ".3f"),
}
_COVERAGES = page.RUN | {Column(f"{each} %", True): page.interval(f"accuracy_at_{each}") for each in (100, 95, 90, 80)}
_GUARANTEED = page.RUN | {
    Column("demanded", True, "accuracy of the answers in %, predict.accuracy of params.yaml"): (
        partial(_share, "demanded")
    ),
    Column("guaranteed", True, "in %, with probability 95 %; none: no threshold is good enough, nothing is answered"): (
        partial(_share, "guaranteed")
    ),
    Column("coverage", True, "share of the test samples that are answered, in %"): partial(_share, "coverage"),
    Column("observed", True, "accuracy of the answers on the test set, in %"): partial(_share, "observed"),
    Column("n", True, "answered test samples"): page.count("abstention_answered"),
}

"""Sources of variance: the standard deviation of a fold's accuracy, split into data and training."""

from pathlib import Path

from shearbench.report.blocks import Cell, Column, Prose, Section, Table
from shearbench.report.findings import Row, Rows, counted

_TITLE = "Sources of variance"
_TEXT = """Out of fold, ± is the standard deviation of one fold's accuracy over {folds}. It has two sources, and their
squares add up to its square. Data: other samples are held out. Training: the model is trained on other samples and
from another seed. If the samples alone would explain more than the folds show, training is 0. {bound} On the test set
all models predict the same samples, so ± is training alone; the 95 % interval covers other samples. With one training
per fold the effect of the seed cannot be separated from the effect of the training samples. The folds share training
samples: entirely new training samples would change more."""
_ONCE = """With one repeat each sample is predicted once, so hard samples cannot be separated from chance: data is an
upper bound, training a lower bound."""
_OFTEN = "Each sample is predicted {repeats} times, which separates hard samples from chance."
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("cross-validated ±", True, "standard deviation of one fold's accuracy, percentage points"),
    Column("data", True, "other samples held out, percentage points"),
    Column("training", True, "other training samples and another seed, percentage points"),
    Column("test ±", True, "training alone: all models predict the same test samples, percentage points"),
    Column("samples per fold", True, "mean number of samples that one fold holds out"),
    Column("trainings", True, "one per fold and repeat"),
)


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    repeats = rows[0]["repeats"]
    text = _TEXT.format(folds=counted(rows[0]), bound=_ONCE if repeats == 1 else _OFTEN.format(repeats=repeats))
    return Section("spread", _TITLE, [Prose(text), Table(_COLUMNS, [_row(row) for row in rows])])


def _row(row: Row) -> list[Cell | str]:
    deviations = [row[name] for name in ("cv_accuracy_sd", "cv_sd_data", "cv_sd_training", "test_accuracy_sd")]
    samples, trainings = row["n_train"] / row["folds"], row["folds"] * row["repeats"]
    return [
        row["dataset"],
        row["model"],
        *(Cell(f"{100 * deviation:.2f}", deviation) for deviation in deviations),
        Cell(f"{samples:,.0f}", samples),
        Cell(str(trainings), trainings),
    ]

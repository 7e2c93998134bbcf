"""What each "±" stands for: the deviation of a fold's accuracy, split into data and training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Cell, Column, Prose, Section, Table
from shearbench.report.findings import counted

_TITLE = "What ± stands for"
_TEXT = """Out of fold, ± is the standard deviation of one fold's accuracy over {folds}. It has two causes, and the
squares of their shares add up to its own: data, that other digits are held out, and training, that the network was
trained anew, on other digits and from another seed. Where the digits alone would explain more than the folds show,
training is 0. {bound} On the test set all networks read the same digits, so there ± is training alone, and what other
digits would change is the 95 % interval. One network a fold is trained, so the share of the seed cannot be told from
that of the training digits. The folds share training digits: entirely new ones would change more."""
_ONCE = """With one repeat each digit is predicted once, and a digit that is hard cannot be told from bad luck with
it: data is then an upper bound, and training a lower one."""
_OFTEN = "Each digit is predicted {repeats} times, which tells digits that are hard from bad luck with them."
_COLUMNS = (
    Column("dataset"),
    Column("model"),
    Column("out of fold ±", True, "standard deviation of one fold's accuracy, in points"),
    Column("of it data", True, "other digits held out, in points"),
    Column("of it training", True, "other training digits and another seed, in points"),
    Column("test ±", True, "training alone: all networks read the same test digits, in points"),
    Column("digits a fold", True, "how many digits one fold holds out, on average"),
    Column("networks", True, "one a fold and repeat"),
)


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    repeats = rows[0]["repeats"]
    text = _TEXT.format(folds=counted(rows[0]), bound=_ONCE if repeats == 1 else _OFTEN.format(repeats=repeats))
    return Section("spread", _TITLE, [Prose(text), Table(_COLUMNS, [_row(row) for row in rows])])


def _row(row: Mapping[str, Any]) -> list[Cell | str]:
    deviations = [row[name] for name in ("cv_accuracy_sd", "cv_sd_data", "cv_sd_training", "test_accuracy_sd")]
    samples, networks = row["n_train"] / row["folds"], row["folds"] * row["repeats"]
    return [
        row["dataset"],
        row["model"],
        *(Cell(f"{100 * deviation:.2f}", deviation) for deviation in deviations),
        Cell(f"{samples:,.0f}", samples),
        Cell(str(networks), networks),
    ]

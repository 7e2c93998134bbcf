"""Experiments of `dvc exp run -S`: each run with other results, compared with the one on this page."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench.report.blocks import Block, Cell, Column, Prose, Section, Table
from shearbench.report.experiments import LAST, Experiment, differing, read_experiments
from shearbench.report.findings import percent, points, span

_TITLE = "Other settings"
_NONE = """This run has no experiments of DVC. `dvc exp run -S models.cnn2.recipe.learning_rate=0.002` makes one: it
retrains the runs that the parameter affects, and their rows appear here."""
_LOST = """The last commit has other settings (here → there: {}), and its results are not in DVC's cache. If you commit
`dvc.lock` after `make repro`, this section compares each experiment with it."""
_TEXT = """Each row is a run of an experiment of DVC (`dvc exp run -S`) on the same commit, or of the last commit
itself. Runs equal to those on this page are left out. The difference is in percentage points of
cross-validated accuracy, theirs minus that of this page, without a test. For a verdict, add a model and a run to
`params.yaml`.
`dvc exp apply NAME` applies the parameters of an experiment."""
_COLUMNS = (
    Column("run"),
    Column("other settings", help="here → there"),
    Column("dataset"),
    Column("model"),
    Column("cross-validated", True, "accuracy in %, mean ± standard deviation over the folds"),
    Column("test", True, "accuracy in %, mean ± standard deviation over the folds' networks"),
    Column("95 % interval", True, "of the test accuracy, for other samples and another training"),
    Column("against this page", True, "difference in cross-validated accuracy, percentage points; without a test"),
)
_SHOWN = 3


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    experiments = read_experiments(root)
    lines = [line for experiment in experiments for line in _lines(experiment, rows)]
    gone = [each.name for each in experiments if each.rows is None and each.name != LAST]
    lost = [each for each in experiments if each.rows is None and each.name == LAST]
    without = _LOST.format(_changes(lost[0]).text) if lost else _NONE
    blocks: list[Block] = [Prose(_TEXT), Table(_COLUMNS, lines)] if lines else [Prose(without)]
    if gone:
        blocks.append(Prose(f"Their results are no longer in DVC's cache: {', '.join(gone)}."))
    return Section("experiments", _TITLE, blocks)


def _lines(experiment: Experiment, rows: Sequence[Mapping[str, Any]]) -> Iterator[list[Cell | str]]:
    for row, other in differing(experiment, rows):
        difference = None if other is None else row["cv_accuracy_mean"] - other["cv_accuracy_mean"]
        yield [
            Cell(experiment.name, strong=True, help=f"commit {experiment.commit[:10]}"),
            _changes(experiment),
            row["dataset"],
            row["model"],
            Cell(f"{percent(row['cv_accuracy_mean'])} ± {percent(row['cv_accuracy_sd'])}", row["cv_accuracy_mean"]),
            Cell(
                f"{percent(row['test_accuracy_mean'])} ± {percent(row['test_accuracy_sd'])}", row["test_accuracy_mean"]
            ),
            Cell(span(row["test_accuracy_low"], row["test_accuracy_high"]), row["test_accuracy_low"]),
            Cell("not here") if difference is None else Cell(points(difference), difference),
        ]


def _changes(experiment: Experiment) -> Cell:
    """Return the parameters that differ: the first few as text, all as a tooltip."""
    changes = [f"{key}: {_value(here)} → {_value(there)}" for key, here, there in experiment.changes]
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return Cell("; ".join(changes[:_SHOWN]) + more, help="; ".join(changes))


def _value(value: Any) -> str:
    return "none" if value is None else str(value)

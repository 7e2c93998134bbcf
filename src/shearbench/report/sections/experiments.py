"""Experiments of DVC (`dvc exp run -S`): each run with other results, compared with the one on this page.

An experiment is a commit under ``refs/exps`` of git; its outputs are in DVC's cache. This module reads both only.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shearbench import yaml12
from shearbench.report.blocks import Block, Cell, Column, Prose, Section, Table
from shearbench.report.findings import Row, Rows, percent, points, span

_TITLE = "DVC experiments"
_NONE = """This run has no experiments of DVC. `dvc exp run -S models.cnn2.recipe.learning_rate=0.002` makes one: it
retrains the runs that the parameter affects, and their rows appear here."""
_LOST = """The last commit has other parameters (here → there: {}), and its results are not in DVC's cache. If you
commit `dvc.lock` after `make repro`, this section compares each experiment with it."""
_TEXT = """Each row is a run of an experiment of DVC (`dvc exp run -S`) on the same commit, or of the last commit
itself. Runs equal to those on this page are left out. The difference is in percentage points of
cross-validated accuracy, theirs minus that of this page, without a test. For a verdict, add a model and a run to
`params.yaml`.
`dvc exp apply NAME` applies the parameters of an experiment."""
_COLUMNS = (
    Column("run"),
    Column("parameters", help="here → there"),
    Column("dataset"),
    Column("model"),
    Column("cross-validated", True, "accuracy in %, mean ± standard deviation over the folds"),
    Column("test", True, "accuracy in %, mean ± standard deviation over the models of the folds"),
    Column("95 % interval", True, "of the test accuracy, for other samples and another training"),
    Column("against this page", True, "difference in cross-validated accuracy, percentage points; without a test"),
)
_SHOWN = 3
_LAST = "last commit"
_COMPARISON = "reports/comparison.json"
_REFS = "refs/exps"
_OURS = ("exec", "stash", "apply", "celery", "queue", "temp")  # refs of DVC's own bookkeeping


@dataclass(frozen=True)
class Experiment:
    """A run with other parameters: its name, its commit, the changed parameters, and its rows.

    ``changes`` are (key of ``params.yaml``, present value, value of the experiment). ``rows`` are those of its
    ``reports/comparison.json``, or None if DVC's cache no longer has that file.
    """

    name: str
    commit: str
    changes: Sequence[tuple[str, Any, Any]]
    rows: Rows | None


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    experiments = _experiments(root, rows)
    lines = [line for experiment in experiments for line in _lines(experiment, rows)]
    gone = [each.name for each in experiments if each.rows is None and each.name != _LAST]
    lost = [each for each in experiments if each.rows is None and each.name == _LAST]
    without = _LOST.format(_changes(lost[0]).text) if lost else _NONE
    blocks: list[Block] = [Prose(_TEXT), Table(_COLUMNS, lines)] if lines else [Prose(without)]
    if gone:
        blocks.append(Prose(f"Their results are no longer in DVC's cache: {', '.join(gone)}."))
    return Section("experiments", _TITLE, blocks)


def _lines(experiment: Experiment, rows: Rows) -> Iterator[list[Cell | str]]:
    for row, other in differing(experiment, rows):
        difference = None if other is None else row["cv_accuracy_mean"] - other["cv_accuracy_mean"]
        yield [
            Cell(experiment.name, strong=True, help=f"commit {experiment.commit[:10]}"),
            _changes(experiment),
            row["dataset"],
            row["model"],
            *(
                Cell(f"{percent(row[f'{kind}_mean'])} ± {percent(row[f'{kind}_sd'])}", row[f"{kind}_mean"])
                for kind in ("cv_accuracy", "test_accuracy")
            ),
            Cell(span(row["test_accuracy_low"], row["test_accuracy_high"]), row["test_accuracy_low"]),
            Cell("not here") if difference is None else Cell(points(difference), difference),
        ]


def _changes(experiment: Experiment) -> Cell:
    """Return the parameters that differ: the first few as text, all as a tooltip."""
    named = [(key, *("none" if value is None else value for value in values)) for key, *values in experiment.changes]
    changes = [f"{key}: {here} → {there}" for key, here, there in named]
    more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    return Cell("; ".join(changes[:_SHOWN]) + more, help="; ".join(changes))


def _experiments(root: Path, rows: Rows) -> list[Experiment]:
    """Return the last commit and its experiments if their results differ; none without git or DVC."""
    if not (root / ".dvc").is_dir() or not (root / ".git").exists() or shutil.which("git") is None:
        return []
    present = yaml12.leaves(yaml12.parse((root / "params.yaml").read_text()))
    found = [_experiment(root, name, commit, present) for name, commit in _commits(root)]
    return [each for each in found if each.changes and each.rows != rows]


def differing(experiment: Experiment, rows: Rows) -> list[tuple[Row, Row | None]]:
    """Return each row of an experiment that differs from ``rows``, with its counterpart there if any."""
    counterparts = {(row["dataset"], row["model"]): row for row in rows}
    paired = [(row, counterparts.get((row["dataset"], row["model"]))) for row in experiment.rows or ()]
    return [(row, other) for row, other in paired if other is None or _results(row) != _results(other)]


def _results(row: Row) -> dict[str, Any]:
    """Return a row without values that differ from run to run or depend on other rows."""
    others = ("seconds_per_fold", "accuracy_drop", "compared_with", "verdict", "p_adjusted")
    return {key: value for key, value in row.items() if key not in others}


def _commits(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and commit of HEAD and of the experiments that started from it, the newest first."""
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    if not head:
        return
    yield _LAST, head
    listed = _git(root, "for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)", _REFS)
    for line in listed.splitlines():
        ref, commit = line.split()
        part, *rest = ref.removeprefix(f"{_REFS}/").split("/")  # ab/<rest of the parent commit>/name
        if part not in _OURS and len(rest) == 2 and part + rest[0] == head:
            yield rest[1], commit


def _experiment(root: Path, name: str, commit: str, present: Row) -> Experiment:
    try:
        values = yaml12.leaves(yaml12.parse(_git(root, "show", f"{commit}:params.yaml")) or {})
    except (yaml.YAMLError, ValueError):  # an unfinished edit was committed: nothing to compare
        return Experiment(name, commit, [], None)
    keys = dict.fromkeys((*present, *values))
    changes = [(key, present.get(key), values.get(key)) for key in keys if present.get(key) != values.get(key)]
    return Experiment(name, commit, changes, _rows(root, commit) if changes else None)


def _rows(root: Path, commit: str) -> Rows | None:
    import dvc.api  # takes a second, and only experiments need it
    from dvc.exceptions import DvcException

    try:
        rows: Rows = json.loads(dvc.api.read(_COMPARISON, repo=str(root), rev=commit))
    except (DvcException, OSError, ValueError):  # not made at that commit, damaged, or no longer in the cache
        return None
    return rows


def _git(root: Path, *words: str) -> str:
    """Return the output of git, empty if it fails: a repository without a commit has no experiments."""
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False).stdout

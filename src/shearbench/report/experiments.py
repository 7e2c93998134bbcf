"""Experiments of DVC: results of ``dvc exp run -S`` as rows of the comparison.

An experiment is a commit under ``refs/exps`` of git; its outputs are in DVC's cache. This module reads both only.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shearbench import yaml12

Row = Mapping[str, Any]
LAST = "last commit"
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
    rows: Sequence[Row] | None


def read_experiments(root: Path) -> list[Experiment]:
    """Return the last commit and its experiments, as far as their results differ from the present ones.

    Args:
        root: the project's folder; without git or DVC there are no experiments.
    """
    if not (root / ".dvc").is_dir() or not (root / ".git").exists():
        return []
    present = _flat(yaml12.parse((root / "params.yaml").read_text()))
    rows = json.loads((root / _COMPARISON).read_text())
    found = [_experiment(root, name, commit, present) for name, commit in _commits(root)]
    return [each for each in found if each.changes and each.rows != rows]


def differing(experiment: Experiment, rows: Sequence[Row]) -> list[tuple[Row, Row | None]]:
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
    yield LAST, head
    listed = _git(root, "for-each-ref", "--sort=-committerdate", "--format=%(refname) %(objectname)", _REFS)
    for line in listed.splitlines():
        ref, commit = line.split()
        part, *rest = ref.removeprefix(f"{_REFS}/").split("/")  # ab/<rest of the parent commit>/name
        if part not in _OURS and len(rest) == 2 and part + rest[0] == head:
            yield rest[1], commit


def _experiment(root: Path, name: str, commit: str, present: Mapping[str, Any]) -> Experiment:
    values = _flat(yaml12.parse(_git(root, "show", f"{commit}:params.yaml")) or {})
    keys = dict.fromkeys((*present, *values))
    changes = [(key, present.get(key), values.get(key)) for key in keys if present.get(key) != values.get(key)]
    return Experiment(name, commit, changes, _rows(root, commit) if changes else None)


def _rows(root: Path, commit: str) -> Sequence[Row] | None:
    import dvc.api  # takes a second, and only experiments need it
    from dvc.exceptions import DvcException

    try:
        rows: Sequence[Row] = json.loads(dvc.api.read(_COMPARISON, repo=str(root), rev=commit))
    except (DvcException, OSError):  # not made at that commit, or no longer in the cache
        return None
    return rows


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys."""
    if not isinstance(value, Mapping):
        return {key: value}
    return {
        name: leaf for part, inner in value.items() for name, leaf in _flat(inner, f"{key}.{part}".lstrip(".")).items()
    }


def _git(root: Path, *words: str) -> str:
    """Return the output of git, empty if it fails: a repository without a commit has no experiments."""
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False).stdout

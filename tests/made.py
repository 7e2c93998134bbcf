"""What a run of the pipeline has made, without what differs between two runs of the same: times and what holds them."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import yaml

from shearbench.records import RECORD, read_json

_MEASURED = {
    "digest",
    "seconds",
    "epoch_seconds",
    "cpu_seconds",
    "epoch_cpu_seconds",
    "memory",
    "epoch_memory",
    "seconds_per_fold",
    "seconds_per_image_1",
    "seconds_per_image_64",
    "written",
    "fold_records",
    "provenance",
    "evaluations",
    "models",
}
"""What differs between two runs that nobody disturbs: times, and the hashes of records, which hold times."""

_DRAWN_FROM_TIMES = ("timeline.png", "cost.png")  # Optuna's, of a search; accuracy against seconds


def facts_of_files(root: Path) -> dict[str, Any]:
    """Return every file's hash, and records and tables without times."""
    found: dict[str, Any] = {}
    for path in sorted([*(root / "build").rglob("*"), *(root / "reports").rglob("*"), *(root / "tuned").rglob("*")]):
        if path.is_file() and path.suffix != ".log" and "lock" not in path.name and path.name not in _DRAWN_FROM_TIMES:
            found[str(path.relative_to(root))] = _fact(path)
    return found


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two values made of dictionaries and lists differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = ((key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys()))
        return [found for key, *pair in pairs for found in differences(*pair, f"{place}/{key}")]
    return [] if one == other else [f"{place}: {str(one)[:80]} | {str(other)[:80]}"]


def current_runs(client: Any, experiment: str) -> dict[str, Any]:
    """Return the runs of an experiment of MLflow by name, without those that newer ones have superseded."""
    number = client.get_experiment_by_name(experiment).experiment_id
    runs = {run.info.run_id: run for run in client.search_runs([number], max_results=1000)}
    tops = {key: runs[run.data.tags.get("mlflow.parentRunId", key)] for key, run in runs.items()}
    kept = [run for key, run in runs.items() if tops[key].data.tags.get("shearbench.superseded") != "yes"]
    found = {run.info.run_name: run for run in kept}
    assert len(found) == len(kept), "two current runs have one name"
    return found


def _fact(path: Path) -> Any:
    if path.suffix == ".json":
        content = _timeless(read_json(path))
        if path.name == RECORD and "networks" in content.get("hashes", {}):
            content["networks"] = content["hashes"]["networks"] = None  # of records, which hold times
        if isinstance(content, dict) and isinstance(content.get("files"), dict):
            content["files"] = {name: d for name, d in content["files"].items() if not _has_seconds(path.parent / name)}
        return content
    if path.suffix == ".yaml":
        return _timeless(yaml.safe_load(path.read_text()))
    if _has_seconds(path):
        return _without_seconds(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _has_seconds(path: Path) -> bool:
    in_a_table = path.suffix == ".csv" and "second" in path.read_text().split("\n", 1)[0]
    return in_a_table or path.name in _DRAWN_FROM_TIMES


def _without_seconds(path: Path) -> list[list[str]]:
    rows = list(csv.reader(path.read_text().splitlines()))
    kept = [place for place, name in enumerate(rows[0]) if "second" not in name]
    return [[row[place] for place in kept] for row in rows]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _MEASURED}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value

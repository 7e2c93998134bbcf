"""A small full pipeline: its project, its steps in the order of ``dvc.yaml``, and what must come of it.

For the tests that break it: :mod:`kill_loop` kills it, others take its disk away.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from shearbench.data import guard, idx
from shearbench.params import Params, load
from shearbench.records import read_json
from small_project import document

TRAIN, TEST = 60, 20
CELLS = {"mnist-mlp": "mlp", "mechanical-mlp": "mlp"}
STEPS = ["prepare", "simulate", "datasets", "settings"]
STEPS += [f"{stage}@{cell}" for cell in CELLS for stage in ("train", "evaluate")]
STEPS += ["severity", "transfer", "compare", "tune@mlp", "track"]
_MEASURED = {"seconds", "epoch_seconds", "seconds_per_fold", "fold_records", "provenance", "evaluations", "networks"}
"""What differs between two runs that nobody disturbs: times, and the hashes of records, which hold times."""


def make_project(root: Path) -> None:
    """Write raw data, adopted, and parameters: two networks, two datasets, two folds, and a search of two trials."""
    folder = root / "data" / "mnist"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for (images_name, labels_name), n in zip(idx.MNIST_FILES.values(), (TRAIN, TEST), strict=True):
        labels = np.arange(n) % 10
        images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
        images[np.arange(n), 2 * labels + 4] = 250
        (folder / images_name).write_bytes(idx.encode(images))
        (folder / labels_name).write_bytes(idx.encode(labels.astype(np.uint8)))
    settings = document()
    settings["cells"] = {cell: {"dataset": cell.split("-")[0], "model": model} for cell, model in CELLS.items()}
    settings["models"] = {"mlp": settings["models"]["mlp"]}
    settings["execution"]["workers"] = 2
    settings["tuning"].update(dataset="mechanical", trials=2, reduction=2, rungs=2, finalists=1, folds=2, share=0.5)
    (root / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    params = load(root / "params.yaml")
    guard.write_adopted(root / "data.dvc", "data", guard.tree_of(root / "data"), params.sources)


def facts(root: Path) -> dict[str, Any]:
    """Return all that must not depend on kills: every file's hash, records without times, and MLflow's runs."""
    found: dict[str, Any] = {}
    for path in sorted([*(root / "build").rglob("*"), *(root / "reports").rglob("*"), *(root / "tuned").rglob("*")]):
        if path.is_file() and path.suffix != ".log" and "lock" not in path.name:
            found[str(path.relative_to(root))] = _fact(path)
    return found | {"mlflow": _runs(root, load(root / "params.yaml"))}


def _fact(path: Path) -> Any:
    if path.suffix == ".json":
        content = _timeless(read_json(path))
        if isinstance(content, dict) and isinstance(content.get("files"), dict):  # those with times are compared below
            content["files"] = {name: d for name, d in content["files"].items() if not _has_seconds(path.parent / name)}
        return content
    if path.suffix == ".yaml":
        return _timeless(yaml.safe_load(path.read_text()))
    if _has_seconds(path):
        return _without_seconds(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _has_seconds(path: Path) -> bool:
    return path.suffix == ".csv" and "second" in path.read_text().split("\n", 1)[0]


def _without_seconds(path: Path) -> list[list[str]]:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    kept = [place for place, name in enumerate(rows[0]) if "second" not in name]
    return [[row[place] for place in kept] for row in rows]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _MEASURED}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def _runs(root: Path, params: Params) -> list[Any]:
    """Return MLflow's runs that are neither deleted nor superseded, by name, and what was sent to each."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("shearbench")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    told = []
    for run in runs:
        metrics = {name: value for name, value in run.data.metrics.items() if "second" not in name}
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        parent = names.get(run.data.tags.get("mlflow.parentRunId"))
        told.append([run.info.run_name, run.info.status, parent, sorted(metrics.items()), files])
    champions = [[name, client.get_model_version_by_alias(name, "champion").tags] for name in params.datasets]
    return [sorted(told, key=lambda run: (run[0], str(run[2]))), champions]


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two values made of dictionaries and lists differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = ((key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys()))
        return [found for key, *pair in pairs for found in differences(*pair, f"{place}/{key}")]
    return [] if one == other else [f"{place}: {str(one)[:80]} | {str(other)[:80]}"]

"""A small full pipeline: its project, its steps in the order of ``dvc.yaml``, and what must come of it.

For the tests that break it: :mod:`kill_loop` kills it, others take its disk away.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from made import facts_of_files
from shearbench.data import idx, raw
from shearbench.params import Params, load
from small_project import document

TRAIN, TEST = 60, 20
_MEASURED = re.compile("second|memory|system/")
"""In names of metrics that differ between two runs which nobody disturbs."""
RUNS = {"mnist-mlp": "mlp", "mechanical-mlp": "mlp"}
STEPS = ["prepare", "simulate", "datasets", "training_configs"]
STEPS += [f"{stage}@{one_run}" for one_run in RUNS for stage in ("train", "evaluate")]
STEPS += ["severity", "transfer", "compare", "tune@mlp", "track"]


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
    settings["runs"] = {one_run: {"dataset": one_run.split("-")[0], "model": model} for one_run, model in RUNS.items()}
    settings["models"] = {"mlp": settings["models"]["mlp"]}
    settings["execution"]["workers"] = 2
    settings["tuning"].update(dataset="mechanical", trials=2, reduction=2, rungs=2, finalists=1, folds=2, share=0.5)
    (root / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    params = load(root / "params.yaml")
    raw.write_adopted(root / "data.dvc", "data", raw.tree_of(root / "data"), params.sources)


def facts(root: Path) -> dict[str, Any]:
    """Return all that must not depend on kills: every file's hash, records without times, and MLflow's runs."""
    return facts_of_files(root) | {"mlflow": _runs(root, load(root / "params.yaml"))}


def _runs(root: Path, params: Params) -> list[Any]:
    """Return MLflow's runs that are neither deleted nor superseded, by name, and what was sent to each."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    config = client.get_experiment_by_name("shearbench")
    runs = client.search_runs([config.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    told = []
    for run in runs:
        metrics = {name: value for name, value in run.data.metrics.items() if not _MEASURED.search(name)}
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        parent = names.get(run.data.tags.get("mlflow.parentRunId"))
        told.append([run.info.run_name, run.info.status, parent, sorted(metrics.items()), files])
    registered = {name: client.get_model_version_by_alias(f"shearbench-{name}", "champion") for name in params.datasets}
    champions = [[name, found.tags] for name, found in registered.items()]
    return [sorted(told, key=lambda run: (run[0], str(run[2]))), champions]

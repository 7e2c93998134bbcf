"""The runs of MLflow for searches: one run per study, with nested runs for each trial and its curve and for each
finalist.

Reads the records in ``build/tuning/results/``; independent of the tracker.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.predictions.contents import Content, Node
from shearbench.records import RECORD, hash_of, is_finished, read_record, sha256_of
from shearbench.tuning.results import CURVES, FINALISTS, SIZES, TRIALS

_FINISHED = {"complete": "reached the last rung", "stopped": "stopped at a rung", "failed": "failed"}


def nodes(build: Path) -> list[Node]:
    """Return the runs of every search that has a record; InputError if one is damaged."""
    folders = sorted((build / "tuning" / "results").glob("*/*"))
    return [node_of(folder) for folder in folders if is_finished(folder)]


def node_of(folder: Path) -> Node:
    """Return the run of one search."""
    record = read_record(folder)
    digest = sha256_of(folder / RECORD)
    name = f"tune {record['dataset']}-{record['model']}"
    curves = pd.read_csv(folder / CURVES)
    trials = [_trial(record, row, curves, digest) for row in _rows(folder / TRIALS)]
    finalists = [_finalist(record, row, digest, "finalist") for row in _rows(folder / FINALISTS)]
    sizes = [_finalist(record, row, digest, "other width") for row in _rows(folder / SIZES)]
    return Node(name, digest, _study(folder, record), [*trials, *finalists, *sizes])


def _study(folder: Path, record: Mapping[str, Any]) -> Content:
    result, resources = record["result"], record["resources"]
    scores = {score["trial"]: score for score in result["finalists"]}
    found = next(score for score in scores.values() if score["hyperparameters"] == result["hyperparameters"])
    metrics = {"found_accuracy": found["accuracy"], "found_parameters": found["parameters"], **result["search"]}
    if result["present"] != result["hyperparameters"] and scores[0]["accuracy"] is not None:
        metrics["present_accuracy"] = scores[0]["accuracy"]
    difference = result["difference"]
    verdict = "nothing to compare" if difference is None else f"{difference['verdict']}: {difference['rule']}"
    return Content(
        params={
            **_names(record),
            "study": record["study"],
            "sampler": f"{record['sampler']} (optuna {record['optuna']})",
            **{f"space.{name}": str(value) for name, value in record["space"].items()},
            **resources,
            **{f"found.{name}": value for name, value in result["hyperparameters"].items()},
            **{f"present.{name}": value for name, value in result["present"].items()},
        },
        tags={**_tags(record), "found_against_present": verdict, "mlflow.note.content": _note(record)},
        metrics=metrics,
        curves=[],
        files=[folder / name for name in (*record["files"], RECORD)],
    )


def _trial(record: Mapping[str, Any], row: Mapping[str, Any], curves: pd.DataFrame, digest: str) -> Node:
    number = int(row["trial"])
    own = curves[curves["trial"] == number]
    points = [
        (name, int(epoch), float(value))
        for name in ("train_loss", "train_accuracy", "loss", "accuracy")
        for epoch, value in zip(own["epoch"], own[name], strict=True)
    ]
    metrics = {
        f"final_{name}": float(row[name]) for name in ("accuracy", "parameters", "seconds") if pd.notna(row[name])
    }
    failure = {"failure": row["failure"]} if pd.notna(row["failure"]) else {}
    content = Content(
        params=_params(record, row),
        tags={**_tags(record), **failure, "trial": str(number), "state": _FINISHED[row["state"]], **_reserved(row)},
        metrics={"epochs": int(row["epochs"]), **metrics, **_searched(metrics.get("final_accuracy"))},
        curves=points,
        files=[],
    )
    return Node(f"trial {number}", hash_of([digest, "trial", number]), content)


def _finalist(record: Mapping[str, Any], row: Mapping[str, Any], digest: str, kind: str) -> Node:
    number = int(row["trial"])
    folds = [name for name in row if name.startswith("accuracy_") and pd.notna(row[name])]
    failure = {"failure": row["failure"]} if pd.notna(row["failure"]) else {}
    mean = {"cv_accuracy_mean": sum(row[name] for name in folds) / len(folds)} if folds else {}
    costs = {"parameters": float(row["parameters"]), "seconds_per_fold": float(row["seconds"])}
    content = Content(
        params=_params(record, row),
        tags={**_tags(record), **failure, "trial": str(number), "folds": str(len(folds))},
        metrics={**mean, **_searched(mean.get("cv_accuracy_mean")), **costs},
        curves=[("fold_accuracy", int(name.removeprefix("accuracy_")), float(row[name])) for name in folds],
        files=[],
    )
    return Node(f"{kind} trial {number}", hash_of([digest, kind, number]), content)


def _searched(accuracy: float | None) -> dict[str, float]:
    """Return the metric that trials and finalists share: one axis of MLflow's parallel coordinates."""
    return {} if accuracy is None else {"search_accuracy": accuracy}


def _names(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"dataset": record["dataset"], "model": record["model"], "seed": record["seed"]}


def _params(record: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return names and searched hyperparameters; MLflow's parallel coordinates open with the first three that vary."""
    return {**_names(record), **{name: row[name] for name in record["space"]}}


def _reserved(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"hash.{name}": row[f"reserved_{name}"]
        for name in ("data", "train", "inner")
        if pd.notna(row[f"reserved_{name}"])
    }


def _tags(record: Mapping[str, Any]) -> dict[str, str]:
    commit = record["provenance"]["commit"]
    hashes = {f"hash.{name}": value for name, value in record["hashes"].items()}
    return {
        **hashes,
        "dvc.stage": f"tune@{record['model']}",
        "git.commit": commit,
        "mlflow.source.git.commit": commit.rstrip("+"),
    }


def _note(record: Mapping[str, Any]) -> str:
    rungs = ", ".join(f"{rung['settings']} to epoch {rung['epochs']}" for rung in record["rungs"])
    return (
        f"A search for {', '.join(record['space'])} of {record['model']} on {record['dataset']}, on the "
        f"tuning part alone. Brackets by successive halving: {rungs}. Beneath: a run a trial with its curve on the "
        "inner part, and a run a finalist and for the best of each other width, whose steps are folds."
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in pd.read_csv(path).to_dict("records")]

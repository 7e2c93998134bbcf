"""The runs of MLflow for searches: one run per study, with nested runs for each trial and its curve and for each
finalist.

Reads the records in ``build/tuning/results/``; independent of the tracker.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.predictions.contents import Content, Node, steps_of, tags_of
from shearbench.records import RECORD, hash_of, is_finished, read_record, sha256_of
from shearbench.tuning.results import CURVES, FINALISTS, SIZES, TRIALS

Facts = Mapping[str, Any]
_STATES = {"complete": "reached the last rung", "stopped": "stopped at a rung", "failed": "failed"}


def nodes(build: Path) -> list[Node]:
    """Return the runs of every search that has a record; InputError if one is damaged."""
    folders = sorted((build / "tuning" / "results").glob("*/*"))
    return [node_of(folder) for folder in folders if is_finished(folder)]


def node_of(folder: Path) -> Node:
    record = read_record(folder)
    digest = sha256_of(folder / RECORD)
    curves = pd.read_csv(folder / CURVES)
    children = [_trial(record, row, curves[curves["trial"] == row["trial"]], digest) for row in _rows(folder / TRIALS)]
    for kind, file in (("finalist", FINALISTS), ("other width", SIZES)):
        children += [_finalist(record, row, digest, kind) for row in _rows(folder / file)]
    return Node(f"tune {record['dataset']}-{record['model']}", digest, _study(folder, record), children)


def _study(folder: Path, record: Facts) -> Content:
    result, found, present = record["result"], record["result"]["hyperparameters"], record["result"]["present"]
    winner = next(score for score in result["finalists"] if score["hyperparameters"] == found)
    metrics = {"found_accuracy": winner["accuracy"], "found_parameters": winner["parameters"], **result["search"]}
    if present != found:
        metrics["present_accuracy"] = next(score["accuracy"] for score in result["finalists"] if score["trial"] == 0)
    difference = result["difference"]
    verdict = "nothing to compare" if difference is None else f"{difference['verdict']}: {difference['rule']}"
    rungs = ", ".join(f"{rung['trials']} to epoch {rung['epochs']}" for rung in record["rungs"])
    note = (
        f"A search for {', '.join(record['space'])} of {record['model']} on {record['dataset']}, on the "
        f"tuning part alone. Brackets by successive halving: {rungs}. Beneath: a run a trial with its curve on the "
        "inner part, and a run a finalist and for the best of each other width, whose steps are folds."
    )
    return Content(
        params={
            **_names(record),
            "study": record["study"],
            "sampler": f"{record['sampler']} (optuna {record['optuna']})",
            **{f"space.{name}": str(value) for name, value in record["space"].items()},
            **record["resources"],
            **{f"found.{name}": value for name, value in found.items()},
            **{f"present.{name}": value for name, value in present.items()},
        },
        tags={**_tags(record, "search"), "found_against_present": verdict, "mlflow.note.content": note},
        metrics=_without_missing(metrics),
        curves=[],
        files=[folder / name for name in (*record["files"], RECORD)],
    )


def _trial(record: Facts, row: Facts, curve: pd.DataFrame, digest: str) -> Node:
    hashes = {f"hash.{name}": row.get(f"reserved_{name}") for name in ("data", "train", "inner")}
    final = {f"final_{name}": row[name] for name in ("accuracy", "parameters", "seconds")}
    return _child(
        record,
        row,
        digest,
        "trial",
        tags={"state": _STATES[row["state"]], **hashes},
        metrics={"search_accuracy": row["accuracy"], "epochs": row["epochs"], **final},
        curves=steps_of(curve, ["train_loss", "train_accuracy", "loss", "accuracy"]),
    )


def _finalist(record: Facts, row: Facts, digest: str, kind: str) -> Node:
    of_folds = _without_missing({name: row[name] for name in row if name.startswith("accuracy_")})
    mean = sum(of_folds.values()) / len(of_folds) if of_folds else None
    costs = {"parameters": row["parameters"], "seconds_per_fold": row["seconds"]}
    return _child(
        record,
        row,
        digest,
        kind,
        tags={"folds": str(len(of_folds))},
        metrics={"search_accuracy": mean, "cv_accuracy_mean": mean, **costs},
        curves=[("fold_accuracy", int(name.removeprefix("accuracy_")), value) for name, value in of_folds.items()],
    )


def _child(
    record: Facts,
    row: Facts,
    digest: str,
    kind: str,
    *,
    tags: Facts,
    metrics: Facts,
    curves: Sequence[tuple[str, int, float]],
) -> Node:
    """Return the run of a trial or finalist; ``search_accuracy`` of both is one axis of MLflow's parallel coordinates.

    These open with the first three parameters that vary, so the only parameters are names and hyperparameters.
    """
    content = Content(
        params={**_names(record), **{name: row[name] for name in record["space"]}},
        tags={
            **_tags(record, kind),
            **_without_missing({"failure": row["failure"], **tags}),
            "trial": str(row["trial"]),
        },
        metrics=_without_missing(metrics),
        curves=curves,
        files=[],
    )
    name = kind if kind == "trial" else f"{kind} trial"
    return Node(f"{name} {row['trial']}", hash_of([digest, kind, row["trial"]]), content)


def _names(record: Facts) -> dict[str, Any]:
    return {name: record[name] for name in ("dataset", "model", "seed")}


def _tags(record: Facts, kind: str) -> dict[str, str]:
    return tags_of(record, f"tune@{record['model']}", kind)


def _without_missing(values: Facts) -> dict[str, Any]:
    return {name: value for name, value in values.items() if pd.notna(value)}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in pd.read_csv(path).to_dict("records")]

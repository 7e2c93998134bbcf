"""The contents of a record for a tracker: parameters, tags, metrics, curves and files. Imports no tracker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.errors import InputError
from shearbench.predictions.evaluated import read_table
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.records import RECORD, hash_of, read_json, read_record, sha256_of


@dataclass(frozen=True, eq=False)
class Content:
    """The contents of a run; ``curves`` are (name, step, value), ``metrics`` have one value per name."""

    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    curves: Sequence[tuple[str, int, float]] = ()
    files: Sequence[Path] = ()
    times: tuple[int, int] | None = None
    """Start and end, in milliseconds since 1970; None without a record."""
    clock: Mapping[int, int] = field(default_factory=dict)
    """Step of the curves -> its time, in milliseconds since 1970."""
    data: tuple[str, str, str] | None = None
    """Name of the dataset, its content hash, and what it is used for."""


@dataclass(frozen=True, eq=False)
class Node:
    """A run to send, with its nested runs. ``digest`` is the hash of its record: each record is sent once.

    ``shown_by_parent`` is sent to the run of its parent too.
    """

    name: str
    digest: str
    content: Content
    children: Sequence["Node"] = ()
    shown_by_parent: Content | None = None


def times_of(record: Mapping[str, Any]) -> tuple[int, int]:
    """Return the start and end of the work of a record, in milliseconds since 1970."""
    try:
        end = datetime.fromisoformat(record["provenance"]["written"]).timestamp()
    except ValueError as error:
        raise InputError(
            f"a record of {record.get('dataset')} has a date that is none ({error}); make it anew"
        ) from None
    seconds = record.get("seconds", 0.0)
    if isinstance(seconds, Mapping):  # an ablation has those of each fold of each run
        seconds = sum(sum(each) for each in seconds.values())
    return int(1000 * (end - float(seconds))), int(1000 * end)


def tags_of(record: Mapping[str, Any], stage: str, kind: str, note: str | None = None) -> dict[str, str]:
    """Return the tags of a record: its hashes, ``kind``, stage and commit, and a note."""
    commit = record["provenance"]["commit"]
    return {
        **{f"hash.{name}": value for name, value in record["hashes"].items()},
        **{"shearbench.kind": kind, "dvc.stage": stage},
        **{"git.commit": commit, "mlflow.source.git.commit": commit.rstrip("+")},
        **({} if note is None else {"mlflow.note.content": note}),
    }


def _of_stage(
    folder: Path, record: Mapping[str, Any], tags: Mapping[str, str], params: Mapping[str, Any], metrics: Any
) -> Content:
    """Return the contents of a stage's record, with all files of its folder."""
    files = [folder / name for name in (*record["files"], RECORD)]
    return Content(params, tags, metrics, files=files, times=times_of(record))


def _parameters(record: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a record's configuration: ``recipe.batch`` becomes ``batch``, other groups keep their name."""
    flat = {"dataset": record["dataset"], "model": record["model"]}
    for name, value in record["config"].items():
        if not isinstance(value, Mapping):
            flat[name] = value
        else:
            flat.update({key if name == "recipe" else f"{name}.{key}": inner for key, inner in value.items()})
    return flat


def fold_content(fold_run: FoldRun) -> Content:
    record, history = fold_run.record, fold_run.history
    return Content(
        params={**_parameters(record), "fold": record["fold"], "seed": record["seed"]},
        tags=tags_of(record, f"train@{record['dataset']}-{record['model']}", "fold"),
        metrics={
            **{f"final_{name}": value for name, value in record["metrics"].items()},
            "best_epoch": record["best_epoch"],
            "parameters": record["parameters"],
            "fold_seconds": record["seconds"],
            "system/cpu_seconds": record["cpu_seconds"],
        },
        curves=[*steps_of(history, history.columns.drop("epoch")), *_system(record)],
        clock=_clock(record),
        files=[fold_run.folder / name for name in (RECORD, "history.csv", "batches.csv")],
    )


def run_content(fold_runs: Sequence[FoldRun]) -> Content:
    record = fold_runs[0].record
    fold_metrics = pd.DataFrame([fold_run.record["metrics"] for fold_run in fold_runs])
    names = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
    means = pd.concat([fold_run.history for fold_run in fold_runs]).groupby("epoch", as_index=False)[names].mean()
    dataset, model, count = record["dataset"], record["model"], len(fold_runs)
    text = f"{model} on {dataset}, {count} folds, each a nested run. The curves are means over them."
    return Content(
        params={**_parameters(record), "folds": count},
        tags=tags_of(record, f"train@{dataset}-{model}", "run", text),
        metrics={
            "cv_accuracy_mean": fold_metrics["validation_accuracy"].mean(),
            "cv_accuracy_sd": fold_metrics["validation_accuracy"].std(),
            "cv_loss_mean": fold_metrics["validation_loss"].mean(),
            "parameters": record["parameters"],
            "seconds_per_fold": float(np.mean([fold_run.record["seconds"] for fold_run in fold_runs])),
            "cpu_seconds_per_fold": float(np.mean([fold_run.record["cpu_seconds"] for fold_run in fold_runs])),
            "peak_memory_megabytes": max(fold_run.record["memory"] for fold_run in fold_runs) / 1e6,
        },
        curves=steps_of(means, names),
    )


def evaluation_content(folder: Path, record: Mapping[str, Any]) -> Content:
    metrics = read_json(folder / "metrics.json")
    test = read_table(folder / "per_class.csv").query("split == 'test'")
    run = f"{record['dataset']}-{record['model']}"
    tags = tags_of(record, f"evaluate@{run}", "evaluation", f"{run} on the held-out test set.")
    prefixed = {"cv" if split == "out_of_fold" else split: of_split for split, of_split in metrics.items()}
    scores = {f"{prefix}_{name}": value for prefix, of_split in prefixed.items() for name, value in of_split.items()}
    f1 = {f"class_f1_test/{name}": value for name, value in zip(test["class"], test["f1"], strict=True)}
    params = {name: record[name] for name in ("dataset", "model", "folds", "repeats")}
    return _of_stage(folder, record, tags, params, scores | f1 | _of_networks(folder))


def _of_networks(folder: Path) -> dict[str, float]:
    """Return accuracies under noise and corruption, class separation, and the measures of the maps."""
    noise, corruptions = read_table(folder / "noise.csv"), read_table(folder / "corruptions.csv")
    by_kind = corruptions.groupby("corruption")["accuracy_mean"].mean()
    of_any = {
        **{f"noise_accuracy/{row['scale']}_{row['level']:g}": row["accuracy_mean"] for _, row in noise.iterrows()},
        **{f"corruption_accuracy/{kind}": float(mean) for kind, mean in by_kind.items()},
    }
    if not (folder / "embedding.csv").is_file():  # a classifier of scikit-learn has no layers
        return of_any
    embedding, maps = read_table(folder / "embedding.csv"), read_table(folder / "explanation.csv")
    penultimate = embedding[embedding["space"] == "penultimate"]
    return {
        **of_any,
        **{f"penultimate/{name}": float(penultimate[name].mean()) for name in ("silhouette", "purity")},
        **{f"map/{row['measure']}": row["mean"] for _, row in maps.dropna(subset="mean").iterrows()},
    }


def comparison_node(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Node:
    """Return the node of ``build/comparison/``, with the accuracies in ``rows`` of ``reports/comparison.json``."""
    record, names = read_record(folder), ("cv_accuracy_mean", "test_accuracy_mean")
    tags = tags_of(record, "compare", "comparison", "Models and datasets side by side.")
    metrics = {f"{name}/{row['dataset']}-{row['model']}": row[name] for name in names for row in rows}
    content = _of_stage(folder, record, tags, {"runs": len(record["evaluations"])}, metrics)
    return Node("comparison", sha256_of(folder / RECORD), content)


def dataset_node(build: Path, name: str) -> Node:
    """Return the node with the results of stage ``explore`` on a training part, ``build/explore/<name>/``."""
    folder = build / "explore" / name
    summary, card = read_json(folder / "summary.json"), read_json(build / "datasets" / name / "card.json")
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    pairs = summary["duplicates"].items()
    content = Content(
        params={"dataset": name, **{f"entry.{key}": value for key, value in card["entry"].items()}},
        tags={
            "shearbench.kind": "dataset",
            "dvc.stage": f"explore@{name}",
            "hash.data": card["hashes"]["train"],
            "mlflow.note.content": f"The training part of {name}: samples, balance of the classes, copies.",
        },
        metrics={
            "samples": summary["samples"],
            **{f"{kind}_{count}": found[count] for kind, found in pairs for count in ("pairs", "across_folds")},
        },
        files=files,
    )
    return Node(f"dataset {name}", hash_of({path.name: sha256_of(path) for path in files}), content)


def ablation_result_node(build: Path, name: str) -> Node:
    """Return the node of an ablation result, ``build/ablation_results/<name>/``, with its runs as children."""
    folder = build / "ablation_results" / name
    record, table = read_record(folder), read_table(folder / "accuracies.csv")
    tags = tags_of(record, f"ablation_result@{name}", "ablation", record["plan"]["question"])
    params = {"ablation": name, "folds": record["folds"], "of_folds": record["of_folds"]}
    content = _of_stage(folder, record, tags, params, {})
    runs = [
        _ablation_run(build / "ablations" / name / Path(*map(str, run)), record, own)
        for run, own in table.groupby(["dataset", "model"], sort=False)
    ]
    return Node(f"ablation {name}", sha256_of(folder / RECORD), content, runs)


def _ablation_run(folder: Path, ablation_result: Mapping[str, Any], table: pd.DataFrame) -> Node:
    """Return the node of one model on one dataset, with its accuracies by batch-norm statistics."""
    fold_runs, name = read_fold_runs(folder, ablation_result["folds"]), ablation_result["ablation"]
    content = run_content(fold_runs)
    measured = {
        f"{row['split']}_{row['bn_statistics']}_{moment}": row[moment]
        for row in table.to_dict("records")
        for moment in ("mean", "sd")
    }
    kind = {"shearbench.kind": "run of an ablation", "dvc.stage": f"ablation@{name}", "shearbench.ablation": name}
    content = replace(content, tags={**content.tags, **kind}, metrics={**content.metrics, **measured})
    digest = hash_of([name, hash_of(measured), *(fold_run.digest for fold_run in fold_runs)])
    return Node(f"{name}: {folder.name} on {folder.parent.name}", digest, content)


def _system(record: Mapping[str, Any]) -> list[tuple[str, int, float]]:
    """Return the system metrics of each epoch, with the names that MLflow shows on its page *System metrics*."""
    costs = zip(record["epoch_seconds"], record["epoch_cpu_seconds"], record["epoch_memory"], strict=True)
    points = []
    for epoch, (seconds, cpu_seconds, memory) in enumerate(costs, start=1):
        points.append(("system/cpu_utilization_percentage", epoch, 100 * cpu_seconds / seconds))
        points.append(("system/peak_memory_megabytes", epoch, memory / 1e6))
    return points


def _clock(record: Mapping[str, Any]) -> dict[int, int]:
    """Return epoch -> its end, in milliseconds since 1970."""
    start, ends = times_of(record)[0], accumulate(record["epoch_seconds"])
    return {epoch: start + int(1000 * seconds) for epoch, seconds in enumerate(ends, start=1)}


def steps_of(table: pd.DataFrame, names: Iterable[str]) -> list[tuple[str, int, float]]:
    """Return (name, epoch, value) for the columns ``names``, without missing values."""
    values = table.melt("epoch", list(names)).dropna()
    return [(name, int(epoch), float(value)) for epoch, name, value in values.itertuples(index=False)]

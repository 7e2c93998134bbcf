"""Build the comparison: one row per run, the evidence on every pair of runs, and the leakage check.

Rows come from the records of the evaluations, pairs from the predictions that training and evaluation stored.

Accuracies are fractions. Means are over the folds of all repeats, standard deviations over the folds of a repeat.

- ``cv_sd_data`` and ``cv_sd_training``: parts of the standard deviation of ``cv``; their squares add up to its square.
  The first is the effect of other held-out samples (an upper bound with one repeat), the second of another training.
- The standard deviation of ``test`` is the effect of another training only: all networks predict the same samples.
- ``..._low``, ``..._high``: the 95 % interval of the mean accuracy for other samples, clustered by writer, and another
  training (``statistics.crossed.accuracy_interval``).
- ``hardware``: device, GPU and precision of the training.
- ``flops``: of one prediction. ``seconds_per_image_1``, ``_64``: latency in batches of 1 and 64, one CPU thread.
- ``verdict``: of the row's model against ``compared_with``, the model with the highest ``cv_accuracy_mean`` on the
  dataset; ``p_adjusted``: the p value of that pair in its family.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.config import reference_of
from shearbench.data.dataset import FOLDS, TUNING_PART, load
from shearbench.data.folds import read_folds, read_part, refuse_overlap
from shearbench.errors import InputError
from shearbench.predictions.evaluated import Origins, read_origins, run_of
from shearbench.predictions.folds import FoldRun, read_fold_run, read_fold_runs
from shearbench.predictions.scores import BySample, by_sample
from shearbench.records import is_finished, read_json, read_npz, read_record
from shearbench.statistics.pairs import Comparisons, compare_all
from shearbench.statistics.pilot import Pilot, measured
from shearbench.statistics.runs import Design, Plan, Run
from shearbench.statistics.verdict import reversed_verdict

Row = dict[str, Any]


def rows_of_runs(folder: Path, runs: Iterable[tuple[str, str]]) -> list[Row]:
    """Return a row for each run (dataset, model), in the order given; ``folder`` is ``build/evaluation``.

    Raises:
        InputError: if an evaluation is missing or damaged.
    """
    loaded = [_row(folder / dataset / model) for dataset, model in runs]
    rows, entries = [row for row, _ in loaded], {row["dataset"]: entry for row, entry in loaded}
    accuracies = {(row["dataset"], row["model"]): row["cv_accuracy_mean"] for row in rows}
    for row in rows:
        reference = reference_of(row["dataset"], entries)
        if reference != row["dataset"] and (reference, row["model"]) in accuracies:
            row["accuracy_drop"] = float(accuracies[reference, row["model"]] - row["cv_accuracy_mean"])
    return rows


def best_of_each_dataset(rows: Sequence[Row]) -> dict[str, str]:
    """Return dataset -> model with the highest cross-validated accuracy; the test set is not used."""
    best: dict[str, Row] = {}
    for row in rows:
        if row["dataset"] not in best or row["cv_accuracy_mean"] > best[row["dataset"]]["cv_accuracy_mean"]:
            best[row["dataset"]] = row
    return {dataset: row["model"] for dataset, row in best.items()}


def with_verdicts(rows: Sequence[Row], pairs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows with ``compared_with``, ``verdict`` and ``p_adjusted`` from the rows of ``reports/pairs.json``.

    All are None for the best model of a dataset, and ``verdict`` and ``p_adjusted`` without a pair.
    """
    verdicts = {}
    for pair in pairs:
        verdict = pair["verdict"]
        verdicts[pair["within"], pair["a"], pair["b"]] = (verdict, pair["p_adjusted"])
        verdicts[pair["within"], pair["b"], pair["a"]] = (reversed_verdict(verdict), pair["p_adjusted"])
    best = best_of_each_dataset(rows)
    found = []
    for row in rows:
        other = best[row["dataset"]]
        verdict, p_adjusted = verdicts.get((row["dataset"], row["model"], other), (None, None))
        compared_with = None if row["model"] == other else other
        found.append({**row, "compared_with": compared_with, "verdict": verdict, "p_adjusted": p_adjusted})
    return found


def with_abstention(rows: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows with ``abstention_...`` columns; ``found`` are the results of ``champion.abstention_of``."""
    return [
        {**row, **{f"abstention_{name}": value for name, value in each.items()}}
        for row, each in zip(rows, found, strict=True)
    ]


def _row(folder: Path) -> tuple[Row, Mapping[str, Any]]:
    """Return the row of a run without its drop, and the entry of its dataset in ``params.yaml``."""
    if not (folder / "record.json").is_file():
        run = f"{folder.parent.name}-{folder.name}"
        raise InputError(f"{folder} holds no finished evaluation; run `dvc repro evaluate@{run}`")
    record = read_record(folder)
    metrics = read_json(folder / "metrics.json")
    cv, test = metrics["out_of_fold"], metrics["test"]
    cost = record["measurements"]["cost"]
    row = {
        "dataset": record["dataset"],
        "model": record["model"],
        **{f"cv_accuracy_{name}": cv[f"accuracy_{name}"] for name in ("mean", "sd")},
        **{f"test_accuracy_{name}": test[f"accuracy_{name}"] for name in ("mean", "sd")},
        "folds": record["folds"],
        "parameters": record["parameters"],
        "seconds_per_fold": round(record["seconds_per_fold"], 1),
        "accuracy_drop": None,
        "n_train": cv["n"],
        "n_test": test["n"],
        **{f"cv_accuracy_{name}": cv[f"accuracy_{name}"] for name in ("low", "high")},
        **{f"test_accuracy_{name}": test[f"accuracy_{name}"] for name in ("low", "high")},
        "cv_loss_mean": cv["loss_mean"],
        "test_loss_mean": test["loss_mean"],
        "macro_f1": test["macro_f1_mean"],
        "balanced_accuracy": test["balanced_accuracy_mean"],
        "repeats": record["repeats"],
        "cv_sd_data": cv["accuracy_sd_data"],
        "cv_sd_training": cv["accuracy_sd_training"],
        "hardware": record["hardware"],
        "flops": cost["flops"],
        **{f"seconds_per_image_{batch}": cost["seconds"][batch] for batch in ("1", "64")},
    }
    return row, record["entry"]


def metrics(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the metrics of ``dvc metrics`` and ``dvc exp show``: cross-validated accuracy in %, by dataset and model.

    Hyperparameters are chosen by these metrics, so the test accuracy is not among them.
    """
    listed: dict[str, dict[str, float]] = {}
    for row in rows:
        listed.setdefault(row["dataset"], {})[row["model"]] = round(100 * row["cv_accuracy_mean"], 2)
    return listed


def compare_runs(build: Path, names: Iterable[tuple[str, str]], *, plan: Plan) -> Comparisons:
    """Compare every pair of models on a dataset and every pair of datasets for a model.

    Raises:
        InputError: if folds are missing, data or folds differ, or a test sample is also a training sample.
    """
    return compare_all(runs_of(build, names, plan.design), plan)


def runs_of(build: Path, names: Iterable[tuple[str, str]], design: Design) -> list[Run]:
    """Return finished runs (dataset, model) as inputs of the statistics; InputError if a fold is missing."""
    origins = read_origins(build / "samples")
    return [_run(build, dataset, model, design, origins) for dataset, model in names]


def _run(build: Path, dataset: str, model: str, design: Design, origins: Origins) -> Run:
    fold_runs = read_fold_runs(build / "runs" / dataset / model, design.n)
    test = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")
    held_out = by_sample([fold_run.out_of_fold for fold_run in fold_runs], of=f"{dataset}-{model}")
    return run_of(fold_runs, held_out, BySample(test["ids"], test["labels"], test["probabilities"]), origins)


def pilot_of_folds(build: Path, a: tuple[str, str], b: tuple[str, str]) -> Pilot:
    """Return the pilot of two runs (dataset, model), from the folds that both have finished.

    Raises:
        InputError: if there are fewer than two such folds, or they hold out other samples than the fold table.
    """
    fold_runs = [_finished(build / "runs" / dataset / model) for dataset, model in (a, b)]
    common = sorted(fold_runs[0].keys() & fold_runs[1].keys())
    names = " and ".join("-".join(run) for run in (a, b))
    if len(common) < 2:
        raise InputError(
            f"a pilot needs 2 folds that {names} have both finished, but there are {len(common)}; run `dvc repro`"
        )
    folder = build / "datasets" / a[0]
    table, discordance, clusters = read_folds(folder / FOLDS), [], []
    origins, tested = read_origins(build / "samples"), len(load(folder, "test").ids)
    for number in common:
        one, other = (each[number].out_of_fold for each in fold_runs)
        train_on = fold_runs[0][number].record["config"]["train_on"]
        held_out = table.ids[table.split(number, train_on)[1]] if number in table.numbers else ()
        if not (np.array_equal(one.ids, held_out) and np.array_equal(other.ids, held_out)):
            raise InputError(f"{names}: fold {number} is not that of {folder / FOLDS}; run `dvc repro` for both")
        discordance.append(one.correct.astype(np.int64) - other.correct)
        clusters.append(origins.clusters_of(one.ids))
    return measured(discordance, clusters, scored=len(table.ids) - len(table.reserved_rows) + tested, tested=tested)


def _finished(folder: Path) -> dict[int, FoldRun]:
    """Return the finished folds of a run, by number."""
    fold_runs = [read_fold_run(path) for path in sorted(folder.glob("fold-*")) if is_finished(path)]
    return {fold_run.fold: fold_run for fold_run in fold_runs}


def refuse_leakage(build: Path, runs: Iterable[tuple[str, str]], *, networks: int) -> None:
    """Refuse scores of tuned runs on samples of the tuning part, by id and by image, out of fold and on the test set.

    ``runs`` are (dataset, model) of the runs with tuned hyperparameters, with ``networks`` networks each.

    Raises:
        InputError: naming the run, the number of such samples, and the first of them.
    """
    origins = read_origins(build / "samples")
    for dataset, model in runs:
        part = read_part(build / "datasets" / dataset / TUNING_PART)
        name = f"{dataset}-{model}"
        fold_runs = read_fold_runs(build / "runs" / dataset / model, networks)
        held_out = np.unique(np.concatenate([fold_run.out_of_fold.ids for fold_run in fold_runs]))
        tested = read_npz(build / "evaluation" / dataset / model / "test_predictions.npz")["ids"]
        for ids, what in ((held_out, "samples that the folds hold out"), (tested, "test samples")):
            refuse_overlap(name, part, ids, what)
            refuse_overlap(name, origins.images_of(part), origins.images_of(ids), f"images of the {what}")

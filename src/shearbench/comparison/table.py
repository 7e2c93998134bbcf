"""Build the comparison: one row per run, from the records of the evaluations.

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

from shearbench.data.config import reference_of
from shearbench.errors import InputError
from shearbench.records import read_json, read_record
from shearbench.statistics.verdict import turned

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

    They are None for the best model of a dataset, and without a pair.
    """
    verdicts = {}
    for pair in pairs:
        verdict = pair["verdict"]
        verdicts[pair["within"], pair["a"], pair["b"]] = (verdict, pair["p_adjusted"])
        verdicts[pair["within"], pair["b"], pair["a"]] = (turned(verdict), pair["p_adjusted"])
    best = best_of_each_dataset(rows)
    found = []
    for row in rows:
        other = best[row["dataset"]]
        verdict, p_adjusted = verdicts.get((row["dataset"], row["model"], other), (None, None))
        found.append({**row, "compared_with": other if verdict else None, "verdict": verdict, "p_adjusted": p_adjusted})
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

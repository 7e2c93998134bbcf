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

COLUMNS = (
    "dataset",
    "model",
    "cv_accuracy_mean",
    "cv_accuracy_sd",
    "test_accuracy_mean",
    "test_accuracy_sd",
    "folds",
    "parameters",
    "seconds_per_fold",
    "accuracy_drop",
    "n_train",
    "n_test",
    "cv_accuracy_low",
    "cv_accuracy_high",
    "test_accuracy_low",
    "test_accuracy_high",
    "cv_loss_mean",
    "test_loss_mean",
    "macro_f1",
    "balanced_accuracy",
    "repeats",
    "cv_sd_data",
    "cv_sd_training",
    "hardware",
    "flops",
    "seconds_per_image_1",
    "seconds_per_image_64",
)
VERDICTS = ("compared_with", "verdict", "p_adjusted")
"""Columns that :func:`with_verdicts` adds."""

ABSTENTION = tuple(f"abstention_{name}" for name in ("demanded", "guaranteed", "coverage", "answered", "observed"))
"""Columns that :func:`with_abstention` adds."""

Row = dict[str, Any]


def read_rows(folder: Path, runs: Iterable[tuple[str, str]]) -> list[Row]:
    """Return a row of :data:`COLUMNS` for each run, in the order given.

    Args:
        folder: ``build/evaluation``.
        runs: (dataset, model) names.

    Raises:
        InputError: if an evaluation is missing or damaged.
    """
    loaded = [_row(folder / dataset / model) for dataset, model in runs]
    rows, entries = [row for row, _ in loaded], {row["dataset"]: entry for row, entry in loaded}
    return [{**row, "accuracy_drop": _drop(row, rows, reference_of(row["dataset"], entries))} for row in rows]


def best_of_each_dataset(rows: Sequence[Row]) -> dict[str, str]:
    """Return dataset -> model with the highest cross-validated accuracy; the test set is not used."""
    best: dict[str, Row] = {}
    for row in rows:
        if row["dataset"] not in best or row["cv_accuracy_mean"] > best[row["dataset"]]["cv_accuracy_mean"]:
            best[row["dataset"]] = row
    return {dataset: row["model"] for dataset, row in best.items()}


def with_verdicts(rows: Sequence[Row], pairs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows with the columns :data:`VERDICTS`: None for the best model of a dataset, and without a pair.

    Args:
        rows: from :func:`read_rows`.
        pairs: rows of ``reports/pairs.json``.
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
    """Return the rows with the columns :data:`ABSTENTION`; ``found`` are the results of ``champion.abstention_of``."""
    return [
        {**row, **{f"abstention_{name}": value for name, value in each.items()}}
        for row, each in zip(rows, found, strict=True)
    ]


def _row(folder: Path) -> tuple[Row, Mapping[str, Any]]:
    """Return the row of a run, and the entry of its dataset in ``params.yaml``."""
    if not (folder / "record.json").is_file():
        run = f"{folder.parent.name}-{folder.name}"
        raise InputError(f"{folder} holds no finished evaluation; run `dvc repro evaluate@{run}`")
    record = read_record(folder)
    metrics = read_json(folder / "metrics.json")
    cv, test = metrics["out_of_fold"], metrics["test"]
    cost = record["measurements"]["cost"]
    values = {
        "dataset": record["dataset"],
        "model": record["model"],
        **{f"cv_accuracy_{name}": cv[f"accuracy_{name}"] for name in ("mean", "sd", "low", "high")},
        **{f"test_accuracy_{name}": test[f"accuracy_{name}"] for name in ("mean", "sd", "low", "high")},
        "folds": record["folds"],
        "repeats": record["repeats"],
        "cv_sd_data": cv["accuracy_sd_data"],
        "cv_sd_training": cv["accuracy_sd_training"],
        "parameters": record["parameters"],
        "seconds_per_fold": round(record["seconds_per_fold"], 1),
        "accuracy_drop": None,
        "n_train": cv["n"],
        "n_test": test["n"],
        "cv_loss_mean": cv["loss_mean"],
        "test_loss_mean": test["loss_mean"],
        "macro_f1": test["macro_f1_mean"],
        "balanced_accuracy": test["balanced_accuracy_mean"],
        "hardware": record["hardware"],
        "flops": cost["flops"],
        **{f"seconds_per_image_{batch}": seconds for batch, seconds in cost["seconds"].items()},
    }
    return {name: values[name] for name in COLUMNS}, record["entry"]


def _drop(row: Row, rows: Sequence[Row], reference: str) -> float | None:
    """Return the drop in accuracy from the reference dataset to this one, or None without a run on the reference."""
    for other in rows:
        if other["dataset"] == reference != row["dataset"] and other["model"] == row["model"]:
            return float(other["cv_accuracy_mean"] - row["cv_accuracy_mean"])
    return None


def metrics(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return the metrics of ``dvc metrics`` and ``dvc exp show``: cross-validated accuracy in %, by dataset and model.

    Hyperparameters are chosen by these metrics, so the test accuracy is not among them.
    """
    listed: dict[str, dict[str, float]] = {}
    for row in rows:
        listed.setdefault(row["dataset"], {})[row["model"]] = round(100 * row["cv_accuracy_mean"], 2)
    return listed

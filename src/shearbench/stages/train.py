"""Stage ``train``: cross-validate one run, a model on a dataset.

Reads ``build/datasets/<dataset>/`` without its test part, and the run's training config; writes the records
``build/runs/<dataset>/<model>/fold-<k>/``. Folds that are up to date are skipped, unfinished folds resume.
Tuned hyperparameters are refused if a fold would hold out a sample of their search.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import print

from shearbench.analysis.batch_norm.statistics import warnings_of
from shearbench.data.dataset import FOLDS, TUNING_PART, load
from shearbench.data.folds import Reserved, part_of, read_folds, read_part, refuse_other, refuse_overlap
from shearbench.params import Params
from shearbench.pipeline.configs import planned
from shearbench.training.crossval import cross_validate
from shearbench.tuning.tuned import config_path, read_run_config


def main(params: Params, root: Path, run_name: str) -> None:
    """Train all folds of a run of ``params``, and print their held-out accuracies."""
    run = params.runs[run_name]
    build = root / "build"
    dataset = build / "datasets" / run.dataset
    run_config = read_run_config(config_path(root, run.dataset, run.model))
    if run_config.tuned and run_config.reserved:
        _check_leakage(run_name, run_config.reserved, dataset)
    records = cross_validate(
        planned(params, root, run_name),
        dataset=dataset,
        out=build / "runs" / run.dataset / run.model,
        workers=params.execution.pool,
    )
    _print_summary(run_name, records, repeats=params.cv.repeats)


def _check_leakage(run_name: str, reserved: Reserved, dataset: Path) -> None:
    """Refuse tuned hyperparameters that were found on another tuning part, or on samples that a fold holds out."""
    part, table = part_of(load(dataset, "train"), read_part(dataset / TUNING_PART)), read_folds(dataset / FOLDS)
    refuse_other(run_name, reserved, part)
    held_out = np.delete(table.ids, table.reserved_rows)
    refuse_overlap(run_name, part.ids, held_out, "samples that the folds hold out")


def _print_summary(run_name: str, records: Sequence[dict[str, Any]], *, repeats: int) -> None:
    accuracies = [record["metrics"]["validation_accuracy"] for record in records]
    for record, accuracy in zip(records, accuracies, strict=True):
        epochs = f"epoch {record['best_epoch']} of {record['epochs']}, " if record["epochs"] else ""
        print(f"{run_name} fold {record['fold']}: {accuracy:.4f} ({epochs}{record['seconds']:.1f} s)")
    folds = f"{len(records)} folds" + (f" of {repeats} repeats" if repeats > 1 else "")
    by_repeat = np.reshape(accuracies, (repeats, -1))
    deviation = np.sqrt(by_repeat.var(axis=1, ddof=1).mean())  # of folds within repeats, as in the comparison
    print(f"{run_name}: {by_repeat.mean():.4f} ± {deviation:.4f} over {folds}")
    for warning in warnings_of(records):
        print(f"Warning: {warning}")

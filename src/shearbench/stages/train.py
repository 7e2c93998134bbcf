"""Stage ``train``: cross-validate one cell, a model on a dataset.

Reads ``build/datasets/<dataset>/train.npz`` with its card and ``build/folds.npz``; writes the records
``build/runs/<dataset>/<model>/fold-<k>/``. Folds that are up to date are kept, unfinished ones go on.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import print

from shearbench.data.config import DatasetEntry
from shearbench.params import Network, Params
from shearbench.training.crossval import cross_validate
from shearbench.training.experiment import Experiment, applicable
from shearbench.training.hardware import resolve


def main(params: Params, root: Path, cell_name: str) -> None:
    """Train all folds of a cell of ``params``, and print the accuracy of each on what it held out."""
    cell = params.cells[cell_name]
    build = root / "build"
    records = cross_validate(
        experiment_of(params, dataset=cell.dataset, model=cell.model),
        dataset=build / "datasets" / cell.dataset,
        folds=build / "folds.npz",
        out=build / "runs" / cell.dataset / cell.model,
        workers=params.execution.workers,
    )
    _print_summary(cell_name, records, repeats=params.cv.repeats)


def experiment_of(params: Params, *, dataset: str, model: str) -> Experiment:
    """Return the experiment that ``params`` describes, with device and precision settled."""
    return settled(params, (dataset, params.datasets[dataset]), (model, params.models[model]))


def settled(
    params: Params, dataset: tuple[str, DatasetEntry], model: tuple[str, Network], *, diagnose: bool = False
) -> Experiment:
    """Return the experiment of a named network on a named dataset, with device and precision settled."""
    (dataset_name, entry), (model_name, chosen) = dataset, model
    hardware = resolve(params.execution.device, params.execution.precision)
    return Experiment(
        dataset=dataset_name,
        model=model_name,
        seed=params.seed,
        architecture=chosen.architecture,
        width=chosen.width,
        options=chosen.options,
        recipe=applicable(chosen.recipe, entry),
        entry=entry,
        inner_fraction=params.cv.inner_fraction,
        device=hardware.device,
        precision=hardware.precision,
        diagnose=diagnose,
    )


def _print_summary(cell_name: str, records: Sequence[dict[str, Any]], *, repeats: int) -> None:
    accuracies = [record["metrics"]["validation_accuracy"] for record in records]
    for record, accuracy in zip(records, accuracies, strict=True):
        epochs = f"epoch {record['best_epoch']} of {record['epochs']}"
        print(f"{cell_name} fold {record['fold']}: {accuracy:.4f} ({epochs}, {record['seconds']:.1f} s)")
    folds = f"{len(records)} folds" + (f" of {repeats} repeats" if repeats > 1 else "")
    deals = np.reshape(accuracies, (repeats, -1))
    deviation = np.sqrt(deals.var(axis=1, ddof=1).mean())  # of a fold within its repeat, as in the comparison
    print(f"{cell_name}: {deals.mean():.4f} ± {deviation:.4f} over {folds}")

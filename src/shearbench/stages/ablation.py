"""Stage ``ablation <name>``: train an ablation, each of its models on each of its datasets.

Reads ``build/samples/train/``, ``build/fields/train/``, ``build/folds/``; writes the records
``build/ablations/<name>/<dataset>/<model>/fold-<k>/``, in one pool of tasks. Datasets that differ only in their
normalisation share one copy of their inputs, which is removed at the end. Folds that are up to date are not trained
again. A fold that another ablation has trained is copied, because equal hashes mean equal bits.

`shearbench repro` also trains them ahead of their stages, on cores that other stages leave idle.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich import print

from shearbench.execution import Workers, spare_workers
from shearbench.execution.calls import terminate_as_interrupt
from shearbench.params import Ablation, Params
from shearbench.pipeline.configs import config_of
from shearbench.pipeline.inputs import inputs_of
from shearbench.training.crossval import FoldTask, fold_task, is_up_to_date, remove_surplus, train_folds


def main(params: Params, root: Path, name: str) -> None:
    """Train the folds of an ablation, and print the cross-validated accuracy of each run."""
    for line in _summary(_train(params, root, name, workers=params.execution.pool, scratch=name)):
        print(line)


def ahead(params: Params, root: Path) -> None:
    """Train the folds of all ablations in spare processes. If it is stopped, only the folds in training are lost."""
    workers = spare_workers(params.execution.pool)
    with terminate_as_interrupt():  # so that a stop removes the inputs too
        for name in params.ablations if workers else ():
            _train(params, root, name, workers=workers, scratch="ahead")


def _train(params: Params, root: Path, name: str, *, workers: Workers, scratch: str) -> list[dict[str, Any]]:
    """Train the folds of an ablation with inputs in ``build/scratch/<scratch>``, and return their records."""
    ablation, build = params.ablations[name], root / "build"
    out = build / "ablations" / name
    _remove_former(out, ablation)
    with inputs_of(scratch, ablation, build, ("train",)) as inputs:
        tasks = list(_tasks(params, ablation, inputs, out))
        for task in tasks:
            _share(task, out.parent)
        return train_folds(tasks, workers=workers, label=f"ablation {name}")


def _tasks(params: Params, ablation: Ablation, inputs: Mapping[str, Path], out: Path) -> Iterator[FoldTask]:
    """Yield every fold of every run of the ablation, in its order."""
    for dataset, model in ablation.runs:
        config = config_of(params, dataset=dataset, model=model, ablation=ablation)
        for fold in range(ablation.folds):
            yield fold_task(config, fold, dataset=inputs[dataset], out=out / dataset / model / f"fold-{fold}")


def _share(task: FoldTask, ablations: Path) -> None:
    """Copy the fold from another ablation if it has the same config, seed, data, folds and code."""
    names = f"*/{task.config.dataset}/{task.config.model}/{task.out.name}"
    equal = [folder for folder in sorted(ablations.glob(names)) if is_up_to_date(replace(task, out=folder))]
    if equal and task.out not in equal:
        copy = task.out.with_name(f"{task.out.name}.partial")
        shutil.rmtree(copy, ignore_errors=True)  # left by a killed process
        shutil.copytree(equal[0], copy)
        shutil.rmtree(task.out, ignore_errors=True)
        copy.replace(task.out)


def _remove_former(out: Path, ablation: Ablation) -> None:
    """Remove runs and folds that are no longer part of the ablation."""
    for dataset in out.glob("*"):
        for run in dataset.glob("*"):
            if (dataset.name, run.name) in ablation.runs:
                remove_surplus(run, ablation.folds)
            else:
                shutil.rmtree(run)
        if not any(dataset.iterdir()):
            dataset.rmdir()


def _summary(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line with accuracy and time per run."""
    runs = dict.fromkeys((record["dataset"], record["model"]) for record in records)
    for run in runs:
        own = [record for record in records if (record["dataset"], record["model"]) == run]
        accuracies = [record["metrics"]["validation_accuracy"] for record in own]
        seconds = mean(record["seconds"] for record in own)
        spread = f"{mean(accuracies):.4f} ± {stdev(accuracies):.4f} over {len(own)} folds"
        yield f"{run[1]} on {run[0]}: {spread}, {seconds:.1f} s per fold"

"""Stage ``experiment <name>``: train an experiment, every one of its networks on every one of its datasets.

Reads ``build/digits/train.npz``, ``build/fields/train/`` and ``build/folds.npz``; writes the records
``build/experiments/<name>/<dataset>/<model>/fold-<k>/``, all in one pool of tasks. Datasets that differ only in their
normalisation share one copy of their inputs, which is removed at the end. Folds that are up to date are kept.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich import print

from shearbench.params import Params, Question
from shearbench.stages.datasets import inputs_of
from shearbench.stages.train import settled
from shearbench.training.crossval import FoldTask, fold_task, remove_surplus, train_folds


def main(params: Params, root: Path, name: str) -> None:
    """Train the folds of an experiment, and print the accuracy of each cell on what its folds held out."""
    question, build = params.experiments[name], root / "build"
    out = build / "experiments" / name
    _remove_former(out, question)
    with inputs_of(name, question, build, ("train",)) as inputs:
        tasks = list(_tasks(params, question, inputs, out, folds=build / "folds.npz"))
        records = train_folds(tasks, workers=params.execution.pool, label=f"experiment {name}")
    for line in _summary(records):
        print(line)


def _tasks(
    params: Params, question: Question, inputs: Mapping[str, Path], out: Path, *, folds: Path
) -> Iterator[FoldTask]:
    """Yield every fold of every network on every dataset that the question asks of it, in its order."""
    for dataset, model in question.runs:
        chosen = (dataset, question.datasets[dataset]), (model, question.models[model])
        experiment = settled(params, *chosen, diagnose=question.diagnose, train_on=question.train_on)
        for fold in range(question.folds):
            record = out / dataset / model / f"fold-{fold}"
            yield fold_task(experiment, fold, dataset=inputs[dataset], folds=folds, out=record)


def _remove_former(out: Path, question: Question) -> None:
    """Remove cells and folds that the experiment no longer has."""
    for dataset in out.glob("*"):
        for cell in dataset.glob("*"):
            if (dataset.name, cell.name) in question.runs:
                remove_surplus(cell, question.folds)
            else:
                shutil.rmtree(cell)
        if not any(dataset.iterdir()):
            dataset.rmdir()


def _summary(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each cell."""
    cells = dict.fromkeys((record["dataset"], record["model"]) for record in records)
    for cell in cells:
        own = [record for record in records if (record["dataset"], record["model"]) == cell]
        accuracies = [record["metrics"]["validation_accuracy"] for record in own]
        seconds = mean(record["seconds"] for record in own)
        spread = f"{mean(accuracies):.4f} ± {stdev(accuracies):.4f} over {len(own)} folds"
        yield f"{cell[1]} on {cell[0]}: {spread}, {seconds:.1f} s a fold"

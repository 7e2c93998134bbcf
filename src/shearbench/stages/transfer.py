"""Stage ``transfer``: every network on what it was not made for, other datasets and other steps of its load.

Reads ``build/runs/``, ``build/datasets/``, ``build/severity/`` and ``build/folds.npz``; writes ``build/transfer/``.
Nothing trains again.
"""

from pathlib import Path

from shearbench.data import dataset
from shearbench.data.folds import read_folds
from shearbench.evaluation.cell import FoldRun, check_data, read_runs
from shearbench.evaluation.transfer import TransferTask, transfer
from shearbench.evaluation.transfer_output import Cell, write_transfer
from shearbench.execution import run_tasks
from shearbench.params import Params
from shearbench.training.hardware import settle_device


def main(params: Params, root: Path) -> None:
    """Let the networks of every cell read.

    Raises:
        InputError: if a fold is missing, or was trained on other data or other folds than the present ones.
        TasksFailed: if a network could not be run.
    """
    build = root / "build"
    runs = read_all(params, build)
    readings = iter(
        run_tasks(
            transfer,
            tasks_of(params, build, runs),
            workers=params.execution.pool,
            label="transfer",
            name=lambda task: f"{task.dataset.name}-{task.run.parent.name} {task.run.name}",
            reads=TransferTask.reads,
        )
    )
    write_transfer(build / "transfer", runs, {cell: [next(readings) for _ in folds] for cell, folds in runs.items()})


def read_all(params: Params, build: Path) -> dict[Cell, list[FoldRun]]:
    """Read the folds of every cell and check them against the present data and folds."""
    table, runs = read_folds(build / "folds.npz"), {}
    for cell in params.cells.values():
        folds = read_runs(build / "runs" / cell.dataset / cell.model, params.cv.networks)
        check_data(folds, dataset.read_card(build / "datasets" / cell.dataset)["hashes"]["train"], table)
        runs[cell.dataset, cell.model] = folds
    return runs


def tasks_of(params: Params, build: Path, runs: dict[Cell, list[FoldRun]]) -> list[TransferTask]:
    """Return a task for each fold of each cell."""
    return [
        TransferTask(
            run.folder,
            build / "datasets" / name,
            build,
            tuple(other for other in params.datasets if other != name),
            settle_device(params.execution),
            params.evaluate,
        )
        for (name, _), folds in runs.items()
        for run in folds
    ]

"""Stage ``transfer``: evaluate every model on datasets and steps that it was not trained for.

Reads ``build/runs/``, ``build/datasets/`` and ``build/severity/``; writes ``build/transfer/``.
Nothing is trained.
"""

from pathlib import Path

from shearbench.analysis.transfer.measure import Run, TransferTask, transfer, write_transfer
from shearbench.execution import run_tasks
from shearbench.params import Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.folds import FoldRun
from shearbench.training.hardware import settle_hardware


def main(params: Params, root: Path) -> None:
    """Predict other datasets and steps with the models of all runs.

    Raises:
        InputError: if a fold is missing, or was made with other parameters, code, data or folds than the present ones.
        TasksFailed: if the prediction of a model failed.
    """
    build = root / "build"
    fold_runs = read_all(params, root)
    results = iter(
        run_tasks(
            transfer,
            tasks_of(params, build, fold_runs),
            workers=params.execution.pool,
            label="transfer",
            name=lambda task: f"{task.dataset.name}-{task.fold_run.parent.name} {task.fold_run.name}",
            reads=TransferTask.reads,
        )
    )
    write_transfer(
        build / "transfer", fold_runs, {run: [next(results) for _ in folds] for run, folds in fold_runs.items()}
    )


def read_all(params: Params, root: Path) -> dict[Run, list[FoldRun]]:
    """Read the folds of every run after a check that they are up to date."""
    return {(run.dataset, run.model): read_run(params, root, name) for name, run in params.runs.items()}


def tasks_of(params: Params, build: Path, fold_runs: dict[Run, list[FoldRun]]) -> list[TransferTask]:
    """Return a task for each fold of each run."""
    return [
        TransferTask(
            fold_run.folder,
            build / "datasets" / name,
            build,
            tuple(other for other in params.datasets if other != name),
            settle_hardware(params.execution).device,
            params.evaluate,
        )
        for (name, _), folds in fold_runs.items()
        for fold_run in folds
    ]

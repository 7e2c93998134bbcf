"""Stage ``evaluate <cell>``: the first to open the sealed test set of a dataset.

Reads ``build/runs/<dataset>/<model>/``, ``build/datasets/<dataset>/``, ``build/digits/`` and ``build/folds.npz``;
writes ``build/evaluation/<dataset>/<model>/`` and, for ``dvc plots``, ``build/plots/<dataset>/<model>/``. Nothing
trains again.
"""

from pathlib import Path

from shearbench.data import dataset
from shearbench.data.folds import read_folds
from shearbench.evaluation.cell import check_data, read_runs
from shearbench.evaluation.choice import one_of_each_class
from shearbench.evaluation.evaluation import Evaluation
from shearbench.evaluation.inference import FoldTask, infer
from shearbench.evaluation.output import write_evaluation, write_plots
from shearbench.execution import run_tasks
from shearbench.params import Params


def main(params: Params, root: Path, cell_name: str) -> None:
    """Evaluate the networks of one cell on the digits that they have not seen.

    Raises:
        InputError: if a fold is missing, or was trained on other data or other folds than the present ones.
        TasksFailed: if a network could not be run.
    """
    cell, build = params.cells[cell_name], root / "build"
    data = build / "datasets" / cell.dataset
    runs = read_runs(build / "runs" / cell.dataset / cell.model, params.cv.networks)
    check_data(runs, dataset.read_card(data)["hashes"]["train"], read_folds(build / "folds.npz"))
    test = dataset.load(data, "test")
    explained = one_of_each_class(test.ids, test.labels)
    results = run_tasks(
        infer,
        [FoldTask(run.folder, data, explained, params.execution.device_of_tasks, params.evaluate) for run in runs],
        workers=params.execution.pool,
        label=f"evaluate {cell_name}",
        name=lambda task: task.run.name,
        reads=FoldTask.reads,
    )
    digits = dataset.read_digits(build / "digits", "test")
    evaluation = Evaluation(runs, dataset.load(data, "train"), test, digits, explained, params.evaluate, results)
    write_evaluation(build / "evaluation" / cell.dataset / cell.model, evaluation)
    write_plots(build / "plots" / cell.dataset / cell.model, evaluation)

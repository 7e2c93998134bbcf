"""Stage ``evaluate <run>``: evaluate a run, with the first use of the test set.

Reads ``build/runs/<dataset>/<model>/``, ``build/datasets/<dataset>/`` and ``build/samples/``;
writes ``build/evaluation/<dataset>/<model>/`` and, for ``dvc plots``, ``build/plots/<dataset>/<model>/``. Nothing
is trained.
"""

from collections.abc import Sequence
from pathlib import Path

from rich import print

from shearbench.analysis.evaluation import Evaluation, FoldResult, FoldTask, infer
from shearbench.analysis.settings import one_of_each_class
from shearbench.analysis.summaries import write_evaluation, write_plots
from shearbench.data import dataset
from shearbench.execution import run_tasks
from shearbench.params import Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.folds import FoldRun, hardware_of


def main(params: Params, root: Path, run_name: str) -> None:
    """Evaluate the models of one run on held-out and test samples.

    Raises:
        InputError: if a fold is missing, or was made with other parameters, code, data or folds than the present ones.
        TasksFailed: if the evaluation of a model failed.
    """
    run, build = params.runs[run_name], root / "build"
    data = build / "datasets" / run.dataset
    fold_runs = read_run(params, root, run_name)
    if "; " in (mixed := hardware_of(fold_runs)):
        print(f"[yellow]The folds of {run_name} are of different hardware[/] ({mixed}), which rounds differently")
    test = dataset.load(data, "test")
    explained = one_of_each_class(test.ids, test.labels)
    results = run_tasks(
        infer,
        [
            FoldTask(fold_run.folder, data, explained, params.execution.device_of_tasks, params.evaluate)
            for fold_run in fold_runs
        ],
        workers=params.execution.pool,
        label=f"evaluate {run_name}",
        name=lambda task: task.fold_run.name,
        reads=FoldTask.reads,
    )
    evaluation = evaluation_of(params, root, run_name, fold_runs, results)
    write_evaluation(build / "evaluation" / run.dataset / run.model, evaluation)
    write_plots(build / "plots" / run.dataset / run.model, evaluation)


def evaluation_of(
    params: Params, root: Path, run_name: str, fold_runs: Sequence[FoldRun], results: Sequence[FoldResult]
) -> Evaluation:
    """Return the evaluation of a run from its folds and the results of their models, in the same order."""
    run, build = params.runs[run_name], root / "build"
    train, test = (dataset.load(build / "datasets" / run.dataset, split) for split in dataset.SPLITS)
    samples = dataset.read_samples(build / "samples", "test", params.datasets[run.dataset].origin)
    explained = one_of_each_class(test.ids, test.labels)
    return Evaluation(fold_runs, train, test, samples, explained, params.evaluate, results)

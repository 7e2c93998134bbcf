"""Stage ``ablation_result <name>``: predict the test set with the models of an ablation, and compare them.

Reads ``build/ablations/<name>/``, ``build/samples/``, ``build/fields/`` and ``build/folds/``; writes
``build/ablation_results/<name>/``: accuracies and verdicts as CSV, figures, and the predictions behind them.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd
from rich import print

from shearbench.ablation.judgement import Judged, write_judged
from shearbench.ablation.output import facts_of, files_of, summary, write_predictions
from shearbench.ablation.result import PredictionTask, RunPredictions, compare, predict_fold
from shearbench.data.dataset import FOLDS, SPLITS, load
from shearbench.data.folds import read_folds
from shearbench.execution import run_tasks
from shearbench.params import Ablation, Params
from shearbench.pipeline.inputs import inputs_of
from shearbench.pipeline.present import check_ablation, check_config
from shearbench.predictions.evaluated import read_origins
from shearbench.predictions.folds import read_fold_runs
from shearbench.records import write_record
from shearbench.statistics.runs import Design, Plan


def main(params: Params, root: Path, name: str) -> None:
    """Predict the test set with every model of an ablation, and compare.

    Raises:
        InputError: if a fold is missing or was trained on other data, or a comparison is not valid.
        TasksFailed: if the prediction of a model failed.
    """
    ablation, build = params.ablations[name], root / "build"
    if ablation.hypotheses:
        _write_verdicts(params, root, name)
        return
    with inputs_of(name, ablation, build, SPLITS) as inputs:
        runs = _read(params, ablation, inputs, fold_runs=build / "ablations" / name)
        of_folds = read_folds(next(iter(inputs.values())) / FOLDS).count
    plan = Plan(
        Design(
            ablation.folds,
            alpha=params.compare.alpha,
            power=params.compare.power,
            disjoint=ablation.train_on == "fold",
        ),
        dict.fromkeys(ablation.datasets, ablation.rope),
    )
    origins = read_origins(build / "samples")
    pairs = compare(runs, plan, origins)
    out = build / "ablation_results" / name
    predictions = write_predictions(out / "predictions", runs)
    plan_facts = {"ablation": name, "plan": ablation.model_dump(mode="json"), "alpha": params.compare.alpha}
    facts = {**plan_facts, "of_folds": of_folds, **facts_of(runs), "predictions": predictions}
    write_record(out, facts, files_of(name, runs, pairs, origins, diagnosed=ablation.diagnose))
    print(summary(pd.read_csv(out / "accuracies.csv")))


def _write_verdicts(params: Params, root: Path, name: str) -> None:
    """Evaluate the hypotheses of an ablation from its finished trainings, and print the verdicts."""
    ablation, build = params.ablations[name], root / "build"
    assert ablation.observed is not None, "see params"
    plan = ablation.model_dump(mode="json")
    judged = Judged(
        name, plan, ablation.folds, ablation.hypotheses, ablation.observed, partial(check_config, params, ablation)
    )
    with inputs_of(name, ablation, build, SPLITS) as inputs:
        table = write_judged(
            judged, build, inputs, workers=params.execution.pool, device=params.execution.device_of_tasks
        )
    shown = [column for column in ("accuracy", "spread", "train_loss") if column in table]
    print(table[["hypothesis", "trainings", *shown, "verdict"]].to_string(index=False))


def _read(params: Params, ablation: Ablation, inputs: Mapping[str, Path], *, fold_runs: Path) -> list[RunPredictions]:
    """Return every run with the predictions of its models, in the order of params.yaml."""
    names = [(dataset, model) for dataset in ablation.datasets for model in ablation.models]
    found = {run: read_fold_runs(fold_runs / run[0] / run[1], ablation.folds) for run in names}
    for (dataset, model), of_run in found.items():
        check_ablation(params, ablation, of_run, (dataset, model), data=inputs[dataset])
    tasks = [
        PredictionTask(fold_run.folder, inputs[dataset], params.execution.device_of_tasks)
        for (dataset, _), of_run in found.items()
        for fold_run in of_run
    ]
    predictions = iter(
        run_tasks(
            predict_fold,
            tasks,
            workers=params.execution.pool,
            label=f"ablation result {fold_runs.name}",
            name=lambda task: str(task.fold_run.relative_to(fold_runs)),
            reads=PredictionTask.reads,
        )
    )
    return [
        RunPredictions(dataset, model, of_run, [next(predictions) for _ in of_run], load(inputs[dataset], "test"))
        for (dataset, model), of_run in found.items()
    ]

"""The result of an ablation with hypotheses: each is judged by its finished trainings.

A run without finished trainings is no error: its hypotheses are ``not run``, and the stage can be repeated. Writes
``hypotheses.csv``, ``folds.csv``, ``modes.csv``, ``lags.csv`` and a figure to ``build/ablation_results/<name>/``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.ablation.figures import modes_figure
from shearbench.ablation.hypotheses import Hypothesis, Observed, runs_of
from shearbench.ablation.judgement import Run, Training, judge
from shearbench.ablation.predict import Reading, ReadTask, read_fold, share_right
from shearbench.ablation.result import recorded_runs
from shearbench.data.dataset import FOLDS, load
from shearbench.errors import InputError
from shearbench.execution import Workers, run_tasks
from shearbench.execution.settings import Chosen
from shearbench.plotting.canvas import png
from shearbench.predictions.folds import FoldRun, hardware_of, read_fold_run
from shearbench.records import is_finished, read_json, write_bytes, write_record, write_text


@dataclass(frozen=True, eq=False)
class Judged:
    """An ablation to judge: its name, its plan as JSON, and the number of trainings per run."""

    name: str
    plan: Mapping[str, Any]
    trainings: int
    hypotheses: Mapping[str, Hypothesis]
    observed: Observed
    check: Callable[[Sequence[FoldRun], Run], None]
    """Raises if the trainings of a run were made with other parameters or code than the present ones."""

    @property
    def runs(self) -> list[Run]:
        """Every (dataset, model) that is planned."""
        return runs_of(self.hypotheses.values())


def write_judged(
    judged: Judged, build: Path, inputs: Mapping[str, Path], *, workers: Workers, device: Chosen
) -> pd.DataFrame:
    """Judge the hypotheses of an ablation, write the tables, and return the table of verdicts.

    Args:
        judged: the ablation.
        build: the folder ``build/``.
        inputs: the folder of each dataset, with both splits.
        workers: number of processes, or ``"auto"``.
        device: on which the models predict.

    Raises:
        InputError: if nothing is finished, or a record is of other data, parameters or code.
        TasksFailed: if a model could not predict.
    """
    runs = finished(build / "ablations" / judged.name, judged)
    for run, of_run in runs.items():
        judged.check(of_run, run)
    if not runs:
        raise InputError(f"no training of {judged.name} is finished; run `shearbench stage ablation {judged.name}`")
    tasks = _tasks(runs, inputs, device=device)
    predictions = iter(
        run_tasks(
            read_fold,
            tasks,
            workers=workers,
            label=judged.name,
            name=lambda task: str(task.fold_run),
            reads=ReadTask.reads,
        )
    )
    rows = [row for run, of_run in runs.items() for one in of_run for row in _rows(run, one, next(predictions), inputs)]
    folds = pd.DataFrame(rows)
    table = judge(judged.hypotheses, judged.observed, {run: _trainings(folds, run) for run in runs})
    out = build / "ablation_results" / judged.name
    write_record(out, _facts(judged, runs), _files(judged.name, table, folds, runs))
    return table


def finished(out: Path, judged: Judged) -> dict[Run, list[FoldRun]]:
    """Return the finished trainings of each run that has any, in the order of the ablation."""
    found = {}
    for dataset, model in judged.runs:
        folders = [out / dataset / model / f"fold-{fold}" for fold in range(judged.trainings)]
        runs = [read_fold_run(folder) for folder in folders if is_finished(folder)]
        if runs:
            found[dataset, model] = runs
    return found


def _tasks(runs: Mapping[Run, Sequence[FoldRun]], inputs: Mapping[str, Path], *, device: Chosen) -> list[ReadTask]:
    """Return one task per finished training: the prediction of the test samples."""
    tasks = []
    for (dataset, _), of_run in runs.items():
        data_hash = read_json(inputs[dataset] / "card.json")["hashes"]["train"]
        for run in of_run:
            if run.record["hashes"]["data"] != data_hash:
                raise InputError(f"{run.folder} was trained on other data; remove it and train again")
            tasks.append(ReadTask(run.folder, inputs[dataset], inputs[dataset] / FOLDS, device))
    return tasks


def _rows(run: Run, trained: FoldRun, predicted: Reading, inputs: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Return a row for each kind of batch-norm statistics that a training's model predicts with."""
    history, labels = trained.history, load(inputs[run[0]], "test").labels
    same = {
        **{"dataset": run[0], "model": run[1], "fold": trained.fold},
        "first_train_loss": float(history["train_loss"].iloc[0]),
        "train_loss": float(history["train_loss"].iloc[-1]),
        "train_accuracy": float(history["train_accuracy"].iloc[-1]),
        "seconds": float(trained.record["seconds"]),
    }
    return [
        {**same, "bn_statistics": bn_statistics, "accuracy": share_right(probabilities, labels)}
        for bn_statistics, probabilities in predicted.test.items()
    ]


def _trainings(folds: pd.DataFrame, run: Run) -> list[Training]:
    own = folds[(folds["dataset"] == run[0]) & (folds["model"] == run[1])]
    return [
        Training(dict(zip(part["bn_statistics"], part["accuracy"], strict=True)), float(part["train_loss"].iloc[0]))
        for _, part in own.groupby("fold")
    ]


def _facts(judged: Judged, runs: Mapping[Run, Sequence[FoldRun]]) -> dict[str, Any]:
    every = [run for of_run in runs.values() for run in of_run]
    return {
        "ablation": judged.name,
        "plan": judged.plan,
        "folds": judged.trainings,
        "trainings": len(every),
        "missing": [f"{dataset}-{model}" for dataset, model in judged.runs if len(runs.get((dataset, model), ())) < 2],
        "sizes": {key: every[0].record["sizes"][key] for key in ("train", "validation")},
        "hardware": hardware_of(every),
        "training": every[0].record["provenance"],
    }


def _files(
    name: str, table: pd.DataFrame, folds: pd.DataFrame, runs: Mapping[Run, Sequence[FoldRun]]
) -> dict[str, Any]:
    tables = {"hypotheses": table, "folds": folds}
    pictures = {}
    if any((run.folder / "modes.csv").is_file() for of_run in runs.values() for run in of_run):
        tables["modes"] = recorded_runs(runs, "modes.csv", ("epoch",))
        tables["lags"] = recorded_runs(runs, "lags.csv", ("epoch", "layer"))
        pictures["modes"] = modes_figure(f"{name}: held-out accuracy after each epoch", tables["modes"])
    return {
        **{f"{each}.csv": partial(write_text, content=made.to_csv(index=False)) for each, made in tables.items()},
        **{f"figures/{each}.png": partial(write_bytes, content=png(made)) for each, made in pictures.items()},
    }

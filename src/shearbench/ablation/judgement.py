"""Judgement of the hypotheses of an ablation by its finished trainings: which published numbers they meet.

The rules are in :mod:`shearbench.ablation.hypotheses`; they were fixed before any training. A run without finished
trainings is no error: its hypotheses are ``not run``, and the stage can be repeated. Writes ``hypotheses.csv``,
``folds.csv``, ``modes.csv``, ``lags.csv`` and a figure to ``build/ablation_results/<name>/``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.ablation.hypotheses import Hypothesis, Observed, runs_of
from shearbench.ablation.output import modes_figure
from shearbench.ablation.result import PredictionTask, predict_fold, recorded, share_correct
from shearbench.data.dataset import load
from shearbench.errors import InputError
from shearbench.execution import Workers, run_tasks
from shearbench.execution.settings import Chosen
from shearbench.plotting.files import Files, picture
from shearbench.plotting.files import table as csv
from shearbench.predictions.folds import FoldRun, hardware_of, read_fold_run
from shearbench.predictions.scores import Estimate, mean_of
from shearbench.records import is_finished, read_json, write_record
from shearbench.statistics.verdict import equal_spreads_p

Run = tuple[str, str]
"""Dataset and model."""
CRITERIA = ("level", "spread", "training loss", "control")
LEVEL = 0.95


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


@dataclass(frozen=True)
class Training:
    """One finished training: test accuracy by batch-norm statistics, and the training loss of its last epoch."""

    accuracy: Mapping[str, float]
    train_loss: float


def write_judged(
    judged: Judged, build: Path, inputs: Mapping[str, Path], *, workers: Workers, device: Chosen
) -> pd.DataFrame:
    """Judge the hypotheses of an ablation, write the tables, and return the table of verdicts.

    ``inputs`` are the folders of the datasets, with both splits; the models predict on ``device``.

    Raises:
        InputError: if nothing is finished, or a record is of other data, parameters or code.
        TasksFailed: if a model could not predict.
    """
    planned = runs_of(judged.hypotheses.values())
    runs = _finished(build / "ablations" / judged.name, planned, judged.trainings)
    for run, of_run in runs.items():
        judged.check(of_run, run)
    if not runs:
        raise InputError(f"no training of {judged.name} is finished; run `shearbench stage ablation {judged.name}`")
    predictions = iter(
        run_tasks(
            predict_fold,
            _tasks(runs, inputs, device=device),
            workers=workers,
            label=judged.name,
            name=lambda task: str(task.fold_run),
            reads=PredictionTask.reads,
        )
    )
    rows: list[dict[str, Any]] = []
    trained: dict[Run, list[Training]] = {}
    for run, of_run in runs.items():
        labels, trained[run] = load(inputs[run[0]], "test").labels, []
        for fold_run in of_run:
            accuracy = {name: share_correct(each, labels) for name, each in next(predictions).test.items()}
            made = _rows(run, fold_run, accuracy)
            rows += made
            trained[run].append(Training(accuracy, made[0]["train_loss"]))
    table = judge(judged.hypotheses, judged.observed, trained)
    out = build / "ablation_results" / judged.name
    write_record(out, _facts(judged, planned, runs), _files(judged.name, table, pd.DataFrame(rows), runs))
    return table


def _finished(out: Path, planned: Sequence[Run], trainings: int) -> dict[Run, list[FoldRun]]:
    """Return the finished trainings of each run that has any, in the order of the ablation."""
    found = {}
    for dataset, model in planned:
        folders = [out / dataset / model / f"fold-{fold}" for fold in range(trainings)]
        runs = [read_fold_run(folder) for folder in folders if is_finished(folder)]
        if runs:
            found[dataset, model] = runs
    return found


def _tasks(
    runs: Mapping[Run, Sequence[FoldRun]], inputs: Mapping[str, Path], *, device: Chosen
) -> list[PredictionTask]:
    tasks = []
    for (dataset, _), of_run in runs.items():
        data_hash = read_json(inputs[dataset] / "card.json")["hashes"]["train"]
        for run in of_run:
            if run.record["hashes"]["data"] != data_hash:
                raise InputError(f"{run.folder} was trained on other data; remove it and train again")
            tasks.append(PredictionTask(run.folder, inputs[dataset], device))
    return tasks


def _rows(run: Run, trained: FoldRun, accuracy: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row for each kind of batch-norm statistics that a training's model predicts with."""
    history = trained.history
    same = {
        **{"dataset": run[0], "model": run[1], "fold": trained.fold},
        "first_train_loss": float(history["train_loss"].iloc[0]),
        "train_loss": float(history["train_loss"].iloc[-1]),
        "train_accuracy": float(history["train_accuracy"].iloc[-1]),
        "seconds": float(trained.record["seconds"]),
    }
    return [{**same, "bn_statistics": name, "accuracy": each} for name, each in accuracy.items()]


def _facts(judged: Judged, planned: Sequence[Run], runs: Mapping[Run, Sequence[FoldRun]]) -> dict[str, Any]:
    every = [run for of_run in runs.values() for run in of_run]
    return {
        "ablation": judged.name,
        "plan": judged.plan,
        "folds": judged.trainings,
        "trainings": len(every),
        "missing": ["-".join(run) for run in planned if len(runs.get(run, ())) < 2],
        "sizes": {key: every[0].record["sizes"][key] for key in ("train", "validation")},
        "hardware": hardware_of(every),
        "training": every[0].record["provenance"],
    }


def _files(name: str, table: pd.DataFrame, folds: pd.DataFrame, runs: Mapping[Run, Sequence[FoldRun]]) -> Files:
    tables, pictures = {"hypotheses": table, "folds": folds}, {}
    if any((run.folder / "modes.csv").is_file() for of_run in runs.values() for run in of_run):
        tables["modes"] = recorded(runs, "modes.csv", ("epoch",))
        tables["lags"] = recorded(runs, "lags.csv", ("epoch", "layer"))
        made = modes_figure(f"{name}: held-out accuracy after each epoch", tables["modes"])
        pictures["figures/modes.png"] = picture(made)
    return {**{f"{each}.csv": csv(made) for each, made in tables.items()}, **pictures}


def judge(
    hypotheses: Mapping[str, Hypothesis], observed: Observed, trained: Mapping[Run, Sequence[Training]]
) -> pd.DataFrame:
    """Return a row for each hypothesis: its predictions, the results of its trainings, and the verdict.

    A hypothesis with fewer than two finished trainings is ``not run``. ``observed`` are the published numbers.
    """
    rows = []
    for name, given in hypotheses.items():
        source = hypotheses[given.same_as] if given.same_as else given
        own = trained.get((source.dataset, source.model), ())
        shallow = trained.get((source.dataset, source.control), ()) if source.control else ()
        keys = ("because", "dataset", "model", "statistics", "control", "same_as")
        stated = {key: getattr(given, key) for key in keys}
        predicted = {
            f"predicted_{key}": "" if value is None else f"{value[0]:g} to {value[1]:g}"
            for key, value in given.predicts.model_dump().items()
        }
        rows.append({"hypothesis": name, **stated, **predicted, **_found(given, observed, own, shallow)})
    return pd.DataFrame(rows)


def _found(
    given: Hypothesis, observed: Observed, own: Sequence[Training], shallow: Sequence[Training]
) -> dict[str, Any]:
    """Return the results of the trainings of a hypothesis, and the verdict on the published numbers."""
    control = float(np.mean([one.accuracy["as_trained"] for one in shallow])) if shallow else None
    if len(own) < 2:
        return {"trainings": len(own), "control_accuracy": control, "verdict": "not run"}
    accuracies = np.array([one.accuracy[given.statistics] for one in own])
    accuracy, loss = mean_of(accuracies), mean_of(np.array([one.train_loss for one in own]))
    spread = float(accuracies.std(ddof=1))
    p = equal_spreads_p((spread, len(own)), (observed.spread, observed.folds))
    least, factor = observed.level - observed.level_tolerance, observed.train_loss_factor
    met: dict[str, bool | None] = {
        "level": _meets(accuracy, least, observed.level + observed.level_tolerance),
        "spread": p >= 1 - LEVEL,
        "training loss": _meets(loss, observed.train_loss / factor, observed.train_loss * factor),
        "control": None if control is None else control >= observed.control,
    }
    means = {"level": accuracy["mean"], "spread": spread, "training loss": loss["mean"], "control": control}
    return {
        "trainings": len(own),
        "accuracy": accuracy["mean"],
        "accuracy_low": max(0.0, accuracy["low"]),
        "accuracy_high": min(1.0, accuracy["high"]),
        **{"spread": spread, "spread_p": p},
        **{"train_loss": loss["mean"], "train_loss_low": max(0.0, loss["low"]), "train_loss_high": loss["high"]},
        "control_accuracy": control,
        "as_predicted": _as_predicted(given, means),
        "verdict": verdict(met),
    }


def _meets(estimate: Estimate, low: float, high: float) -> bool:
    """Return True if the interval overlaps ``low`` to ``high``."""
    return estimate["low"] <= high and estimate["high"] >= low


def _as_predicted(given: Hypothesis, means: Mapping[str, float | None]) -> str:
    """Return the means outside their predicted ranges, or ``yes``."""
    predicts = given.predicts
    ranges = zip(CRITERIA, (predicts.level, predicts.spread, predicts.train_loss, predicts.control), strict=True)
    outside = [
        name
        for name, bounds in ranges
        if bounds and (mean := means[name]) is not None and not bounds[0] <= mean <= bounds[1]
    ]
    return f"not {', '.join(outside)}" if outside else "yes"


def verdict(met: Mapping[str, bool | None]) -> str:
    """Return ``fits``, ``misfit`` with the missed published numbers, or ``control not run``."""
    missed = [name for name in CRITERIA if met[name] is False]
    if missed:
        return f"misfit: {', '.join(missed)}"
    return "control not run" if met["control"] is None else "fits"

"""The files of a search: the section of ``tuned/<model>.yaml``, and a record with tables and figures.

The record is ``build/tuning/results/<dataset>/<model>/``: ``record.json``, ``trials.csv`` (one row per trial),
``curves.csv`` (one row per epoch of a trial), ``finalists.csv``, ``sizes.csv`` (the best of other widths) and Optuna's
figures.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import optuna
import pandas as pd

from shearbench.data.folds import read_folds
from shearbench.data.tuning_part import Reserved
from shearbench.plotting.files import Files, table
from shearbench.records import write_bytes, write_record
from shearbench.training.space import as_json
from shearbench.tuning import pictures
from shearbench.tuning.finalists import Finalist
from shearbench.tuning.job import Job, SearchResult
from shearbench.tuning.trial import FOLDS
from shearbench.tuning.tuned import Score, Search, Tuned

TRIALS, CURVES, FINALISTS, SIZES = "trials.csv", "curves.csv", "finalists.csv", "sizes.csv"


def results_folder(build: Path, dataset: str, model: str) -> Path:
    """Return the folder of a search's record."""
    return build / "tuning" / "results" / dataset / model


def summary(job: Job, search_result: SearchResult) -> Tuned:
    """Return the section of ``tuned/<model>.yaml``."""
    final, states = search_result.final, [trial.state for trial in search_result.trials]
    epochs_of_trials = sum(len(trial.curve) for trial in search_result.trials)
    return Tuned(
        hyperparameters=final.winner.hyperparameters,
        present=final.present.hyperparameters,
        epochs=job.config.units,
        difference=final.difference,
        finalists=tuple(map(_score, final.finalists)),
        sizes=tuple(map(_score, search_result.sizes)),
        search=Search(
            trials=len(states),
            complete=states.count("complete"),
            stopped_early=states.count("stopped"),
            failed=states.count("failed"),
            epochs=epochs_of_trials + sum(each.epochs for each in final.finalists),
            folds=job.resources.folds,
            samples_scored=final.winner.samples,
            seed=job.config.seed,
        ),
        reserved=Reserved.of(search_result.part),
    )


def write_results(folder: Path, job: Job, search_result: SearchResult, tuned: Tuned) -> None:
    """Write the record of a search."""
    study = search_result.study
    result = {
        "dataset": job.config.dataset,
        "model": job.config.model,
        "architecture": job.config.architecture,
        "study": study.name,
        "optuna": optuna.__version__,
        "sampler": "TPE, multivariate",
        "seed": job.config.seed,
        "config": job.config.config,
        "space": as_json(study.space),
        "resources": job.resources.model_dump(exclude={"dataset", "share", "storage"}),
        "rungs": [asdict(rung) for rung in study.halving.plan],
        "hashes": {"ids": tuned.reserved.ids, "data": tuned.reserved.data},
        "result": tuned.model_dump(mode="json"),
    }
    drawn = pictures.draw(study, inner=inner_samples(job))
    files: Files = {
        TRIALS: table(_trials_table(search_result)),
        CURVES: table(_curves_table(search_result)),
        FINALISTS: table(_finalists_table(search_result.final.finalists)),
        SIZES: table(_finalists_table(search_result.sizes)),
        **{name: partial(write_bytes, content=content) for name, content in drawn.items()},
    }
    for path in folder.glob("*"):
        path.unlink()
    write_record(folder, result, files)


def _trials_table(search_result: SearchResult) -> pd.DataFrame:
    """Return one row per trial; ``accuracy`` is that of the weights returned after ``epochs``, on the inner part."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            **trial.hyperparameters,
            "epochs": len(trial.curve),
            "accuracy": trial.score,
            "parameters": trial.facts.get("parameters"),
            "seconds": trial.facts.get("seconds"),
            "failure": trial.failure,
            **{f"reserved_{name}": value for name, value in trial.facts.get("reserved", {}).items()},
        }
        for trial in search_result.trials
    ]
    return pd.DataFrame(rows)


def _curves_table(search_result: SearchResult) -> pd.DataFrame:
    rows = [
        {"trial": trial.number, "epoch": epoch, **asdict(point)}
        for trial in search_result.trials
        for epoch, point in enumerate(trial.curve, start=1)
    ]
    return pd.DataFrame(rows, columns=["trial", "epoch", "train_loss", "train_accuracy", "loss", "accuracy", "stored"])


def _finalists_table(finalists: Sequence[Finalist]) -> pd.DataFrame:
    rows = [
        {
            "trial": finalist.trial,
            **finalist.hyperparameters,
            "parameters": finalist.parameters,
            "seconds": finalist.seconds,
            "epochs": finalist.epochs,
            "samples": finalist.samples,
            **{f"accuracy_{fold}": value for fold, value in enumerate(finalist.accuracies)},
            "failure": finalist.reason,
        }
        for finalist in finalists
    ]
    if not rows:  # a CSV file needs a header
        return pd.DataFrame(columns=["trial", "parameters", "seconds", "epochs", "samples", "failure"])
    return pd.DataFrame(rows)


def inner_samples(job: Job) -> int:
    """Return the number of samples that score a trial."""
    return len(read_folds(job.part / FOLDS).reserved_rows)


def _score(finalist: Finalist) -> Score:
    done = finalist.reason is None
    return Score(
        trial=finalist.trial,
        hyperparameters=finalist.hyperparameters,
        accuracy=round(finalist.mean, 6) if done else None,
        sd=round(statistics.stdev(finalist.accuracies), 6) if done else None,
        parameters=finalist.parameters,
        seconds=round(finalist.seconds, 2),
        reason=finalist.reason,
    )

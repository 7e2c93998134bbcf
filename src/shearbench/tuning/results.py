"""The files of a search: the section of ``tuned/<model>.yaml``, and a record with tables and figures.

The record is ``build/tuning/results/<dataset>/<model>/``: ``record.json``, ``trials.csv`` (one row per trial),
``curves.csv`` (one row per epoch of a trial), ``finalists.csv``, ``sizes.csv`` (the best of other widths) and Optuna's
figures.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import optuna
import pandas as pd

from shearbench.data.folds import read_folds
from shearbench.data.tuning_part import Reserved
from shearbench.records import write_bytes, write_record, write_text
from shearbench.training.space import as_json
from shearbench.tuning import pictures
from shearbench.tuning.finalists import Final, Finalist
from shearbench.tuning.job import Job, SearchResult
from shearbench.tuning.trial import FOLDS
from shearbench.tuning.tuned import Difference, Score, Search, Tuned

TRIALS, CURVES, FINALISTS, SIZES = "trials.csv", "curves.csv", "finalists.csv", "sizes.csv"


def results_folder(build: Path, dataset: str, model: str) -> Path:
    """Return the folder of a search's record."""
    return build / "tuning" / "results" / dataset / model


def summary(job: Job, search_result: SearchResult) -> Tuned:
    """Return the section of ``tuned/<model>.yaml``."""
    final, states = search_result.final, [trial.state for trial in search_result.trials]
    return Tuned(
        hyperparameters=final.winner.hyperparameters,
        present=final.present.hyperparameters,
        epochs=job.config.units,
        difference=_difference(final),
        finalists=tuple(_score(finalist) for finalist in final.finalists),
        sizes=tuple(_score(finalist) for finalist in search_result.sizes),
        search=Search(
            trials=len(states),
            complete=states.count("complete"),
            stopped_early=states.count("stopped"),
            failed=states.count("failed"),
            epochs=sum(len(trial.curve) for trial in search_result.trials)
            + sum(each.epochs for each in final.finalists),
            folds=job.resources.folds,
            samples_scored=final.winner.samples,
            seed=job.config.seed,
        ),
        reserved=Reserved.of(search_result.part),
    )


def write_results(folder: Path, job: Job, search_result: SearchResult, tuned: Tuned) -> None:
    """Write the record of a search."""
    result = {
        "dataset": job.config.dataset,
        "model": job.config.model,
        "architecture": job.config.architecture,
        "study": search_result.study.name,
        "optuna": optuna.__version__,
        "sampler": "TPE, multivariate",
        "seed": job.config.seed,
        "config": job.config.config,
        "space": as_json(search_result.study.space),
        "resources": {name: value for name, value in asdict(job.resources).items() if name != "storage"},
        "rungs": [asdict(rung) for rung in search_result.study.halving.plan],
        "hashes": {"ids": tuned.reserved.ids, "data": tuned.reserved.data},
        "result": tuned.model_dump(mode="json"),
    }
    files: dict[str, Callable[[Path], None]] = {
        TRIALS: _csv(trials_table(search_result)),
        CURVES: _csv(curves_table(search_result)),
        FINALISTS: _csv(finalists_table(search_result.final.finalists)),
        SIZES: _csv(finalists_table(search_result.sizes)),
    }
    for name, content in pictures.draw(search_result.study, inner=inner_samples(job)).items():
        files[name] = _bytes(content)
    for path in folder.glob("*"):
        path.unlink()
    write_record(folder, result, files)


def trials_table(search_result: SearchResult) -> pd.DataFrame:
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


def curves_table(search_result: SearchResult) -> pd.DataFrame:
    """Return a row for each epoch of each trial."""
    rows = [
        {"trial": trial.number, "epoch": epoch, **asdict(point)}
        for trial in search_result.trials
        for epoch, point in enumerate(trial.curve, start=1)
    ]
    return pd.DataFrame(rows, columns=["trial", "epoch", "train_loss", "train_accuracy", "loss", "accuracy", "kept"])


def finalists_table(finalists: Sequence[Finalist]) -> pd.DataFrame:
    """Return a row for each finalist: its accuracy in each fold, parameters and seconds."""
    names = ["trial", "parameters", "seconds", "epochs", "samples", "failure"]
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
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=names)


def inner_samples(job: Job) -> int:
    """Return the number of samples that score a trial."""
    return len(read_folds(job.part / FOLDS).reserved_rows)


def _difference(final: Final) -> Difference | None:
    if final.difference is None or final.verdict is None or final.p_holm is None:
        return None
    t = final.difference
    numbers = {"mean": t.difference, "low": t.low, "high": t.high, "p_holm": final.p_holm}
    return Difference(
        **{k: round(v, 6) for k, v in numbers.items()}, verdict=final.verdict.word, rule=final.verdict.rule
    )


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


def _csv(table: pd.DataFrame) -> Callable[[Path], None]:
    return lambda path: write_text(path, table.to_csv(index=False))


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: write_bytes(path, content)

"""The results of a search: the section of ``tuned/<model>.yaml``, a record with tables and figures, and the terminal.

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
from rich.console import Console
from rich.table import Table

from shearbench.data.dataset import FOLDS, TUNING_PART
from shearbench.data.folds import Reserved, read_folds, read_part
from shearbench.plotting.files import Files, table
from shearbench.records import is_finished, read_record, write_bytes, write_record
from shearbench.training.recipe import as_json, described
from shearbench.tuning import pictures
from shearbench.tuning.job import Finalist, Job, SearchResult
from shearbench.tuning.tuned import Score, Search, Tuned

TRIALS, CURVES, FINALISTS, SIZES = "trials.csv", "curves.csv", "finalists.csv", "sizes.csv"


def results_folder(build: Path, dataset: str, model: str) -> Path:
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


def plan(job: Job, before: Tuned | None) -> str:
    """Return the plan of a search as text, with its time at the present width if a training has measured one."""
    resources, halving = job.resources, job.halving
    trials = job.brackets * halving.size
    rounded = "" if trials == resources.trials else f" ({resources.trials} rounded up to whole brackets)"
    epochs = job.brackets * halving.cost + job.reserve
    rungs = ", ".join(str(rung.epochs) for rung in halving.plan)
    sizes = ", then the best trial of each other width" if resources.sizes else ""
    seconds = _seconds_of_an_epoch(job, before)
    about = "the time left is shown after the first rung"
    if seconds is not None:
        about = f"about {_duration(seconds * epochs)} of one core with the present hyperparameters"
    return (
        f"{job.name}: {trials} trials{rounded} of up to {halving.epochs} epochs, compared after {rungs}; "
        f"then the best {resources.finalists} and the present hyperparameters in {resources.folds} folds{sizes}. At "
        f"most {epochs} epochs: {about}. No bracket after the first starts if it would end after "
        f"{_duration(resources.timeout)}."
    )


def _seconds_of_an_epoch(job: Job, before: Tuned | None) -> float | None:
    """Return the time of an epoch with the present hyperparameters, by an earlier search or by the run's folds."""
    if before and (before.present, before.epochs) == (job.present, job.config.units):
        for score in before.finalists:
            if score.hyperparameters == before.present:
                return score.seconds / before.epochs
    folder, dataset = job.build / "runs" / job.config.dataset / job.config.model, job.build / "datasets"
    records = [read_record(each) for each in sorted(folder.glob("fold-*")) if is_finished(each)]
    alike = [each for each in records if each["config"] == job.config.config and each["epochs"]]
    if not alike:
        return None
    of_a_sample = [each["seconds"] / each["epochs"] / each["sizes"]["train"] for each in alike]
    samples = len(read_part(dataset / job.config.dataset / TUNING_PART)) * (1 - 1 / job.resources.folds)
    return float(statistics.mean(of_a_sample)) * samples


def print_tuned(title: str, tuned: Tuned) -> None:
    """Print the finalists and the verdict on the winner against the present hyperparameters."""
    search = tuned.search
    table = Table(title=f"{title}: the finalists", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    table.add_column("hyperparameters", overflow="fold")
    for heading in ("accuracy, %", "parameters", "s/fold", "trial"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in sorted(tuned.finalists, key=lambda score: -(score.accuracy or 0.0)):
        table.add_row(*_row(score, tuned))
    console = Console()
    console.print(table)
    console.print(
        f"accuracy: mean ± standard deviation over the folds; {search.samples_scored} samples of {search.folds} folds "
        f"within the tuning part of {tuned.reserved.samples}.",
        style="dim",
    )
    console.print(
        f"{search.trials} trials: {search.complete} complete, {search.stopped_early} stopped early, {search.failed} "
        f"failed; {search.epochs} epochs in all."
    )
    console.print(conclusion(tuned), highlight=False)


def conclusion(tuned: Tuned) -> str:
    """Return the winner and the verdict against the present hyperparameters, as a sentence."""
    if tuned.hyperparameters == tuned.present:
        return "Found: the present hyperparameters are the best."
    if tuned.difference is None:
        return "Found: hyperparameters that train; the present ones failed."
    d = tuned.difference
    low, high = d.interval
    return (
        f"Found against present: {100 * d.mean:+.2f} percentage points ({100 * low:+.2f} to {100 * high:+.2f}, "
        f"corrected resampled t over {tuned.search.folds} folds): {d.verdict}. {d.rule}."
    )


def _row(score: Score, tuned: Tuned) -> tuple[str, ...]:
    named = {"found": tuned.hyperparameters, "present": tuned.present}
    name = next((name for name, point in named.items() if point == score.hyperparameters), "")
    accuracy = f"failed: {score.reason}"
    if score.accuracy is not None and score.sd is not None:
        accuracy = f"{100 * score.accuracy:.2f} ± {100 * score.sd:.2f}"
    values = described(score.hyperparameters)
    return (name, values, accuracy, f"{score.parameters / 1e6:.3f}M", f"{score.seconds:.1f}", str(score.trial))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

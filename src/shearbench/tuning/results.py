"""The results of a search: the section of ``tuned/<model>.yaml``, a record with tables and figures, and the terminal.

The record is ``build/tuning/results/<dataset>/<model>/``: ``record.json``, ``trials.csv`` (one row per trial),
``curves.csv`` (one row per epoch of a trial), ``finalists.csv``, ``sizes.csv`` (the best of other widths) and Optuna's
figures as PNG and PDF.

Trials end at different epochs, so their last values are not comparable. History, importances, slices and parallel
coordinates show the accuracy after the first rung, which every trial reaches; curves and timeline show the course of
each trial. Importances are fANOVA's (Hutter et al., ICML 2014) and need at least ``_FEW`` trials.
"""

import io
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import matplotlib as mpl
import numpy as np
import optuna
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import TrialState, create_trial
from optuna.visualization import matplotlib as drawn
from rich.console import Console
from rich.table import Table

from shearbench.data.dataset import FOLDS, TUNING_PART
from shearbench.data.folds import Reserved, read_folds, read_part
from shearbench.plotting.canvas import DPI, readable_log
from shearbench.plotting.files import Files, table
from shearbench.records import is_finished, read_record, write_bytes, write_record
from shearbench.training.recipe import as_json, described
from shearbench.tuning.job import Finalist, Job, SearchResult
from shearbench.tuning.study import Ledger, Study
from shearbench.tuning.tuned import Score, Search, Tuned

TRIALS, CURVES, FINALISTS, SIZES = "trials.csv", "curves.csv", "finalists.csv", "sizes.csv"
_FEW = 8
_NAMED = 60  # largest number of curves with a legend
_SEED = 0  # of fANOVA's trees, so that the figure is reproducible
_LABELS = {"learning_rate": "learning rate", "batch": "batch size", "width": "width"}


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
    figures = draw(study, inner=len(read_folds(job.part / FOLDS).reserved_rows))
    files: Files = {
        TRIALS: table(_trials_table(search_result)),
        CURVES: table(_curves_table(search_result)),
        FINALISTS: table(_finalists_table(search_result.final.finalists)),
        SIZES: table(_finalists_table(search_result.sizes)),
        **{name: partial(write_bytes, content=content) for name, content in figures.items()},
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


def draw(study: Study, *, inner: int) -> dict[str, bytes]:
    """Return file name -> PNG or PDF; figures that need more trials than the study has are left out.

    ``inner`` is the number of samples that score a trial.
    """
    whole = Ledger(study).optuna
    epochs = study.halving.plan[0].epochs
    same = _at_epoch(whole, epochs)
    count = f"{study.label}, {len(same.trials)} trials"
    after = f"accuracy on {inner} inner samples, epoch {epochs}"
    pictures: dict[str, Callable[[], Figure]] = {
        "curves": lambda: _curves(whole, count, inner),
        "timeline": lambda: _titled(drawn.plot_timeline(whole), f"{study.label}: timeline"),
    }
    if same.trials:
        pictures |= {
            "history": lambda: _history(same, count, after),
            "slices": lambda: _slices(same, count, after),
            "parallel": lambda: _parallel(same, count, after),
        }
    if len(same.trials) >= _FEW:
        pictures["importance"] = lambda: _importance(same, count, after)
    with mpl.rc_context(), warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        plt.switch_backend("agg")
        mpl.rcParams["figure.figsize"] = (7.0, 4.2)
        saved = [(f"{name}.{kind}", content) for name, make in pictures.items() for kind, content in _saved(make())]
        return dict(saved)


def _curves(study: optuna.Study, count: str, inner: int) -> Figure:
    axes = drawn.plot_intermediate_values(study)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"accuracy on {inner} inner samples")
    names = axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, ncols=1 + len(axes.lines) // 20)
    names.set_visible(len(axes.lines) <= _NAMED)
    return _titled(axes, f"{count}: epoch by epoch")


def _history(study: optuna.Study, count: str, after: str) -> Figure:
    axes = drawn.plot_optimization_history(study, target_name="accuracy")
    axes.set_xlabel("trial")
    axes.set_ylabel(after)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)  # points can be anywhere inside
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _titled(axes, f"{count}: history")


def _importance(study: optuna.Study, count: str, after: str) -> Figure:
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
    axes = drawn.plot_param_importances(study, evaluator=evaluator)
    axes.legend().set_visible(False)
    axes.set_xlabel(f"share of the spread explained: {after}")
    axes.set_ylabel("")
    axes.margins(x=0.1)
    for text in axes.texts:  # the shares, which touch the ends of their bars
        text.set_text(f" {text.get_text()}")
    return _titled(axes, f"{count}: importances (fANOVA)")


def _slices(study: optuna.Study, count: str, after: str) -> Figure:
    drawn.plot_slice(study, target_name=after)
    figure = plt.gcf()
    figure.suptitle(f"{count}: slices", fontsize=11)
    figure.axes[-1].set_ylabel("trial", labelpad=10)  # beside the colours; Optuna's own label overlaps their numbers
    return figure


def _parallel(study: optuna.Study, count: str, after: str) -> Figure:
    axes = drawn.plot_parallel_coordinate(study, target_name="accuracy")
    for lines in axes.collections:  # the lightest of Optuna's shades are hardly darker than the grid
        shades = lines.get_cmap()(np.linspace(0.3, 1.0, 64))
        lines.set_cmap(LinearSegmentedColormap.from_list("darker", shades))
    figure = _titled(axes, f"{count}: parallel coordinates")
    for each in figure.axes:
        each.grid(False)  # every axis has a grid, which would cut the lines
        if each.get_yscale() == "log":
            readable_log(each.yaxis)
        for label in each.get_yticklabels():  # labels of inner axes stand among the lines
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1})
        if each.get_ylabel() == "accuracy" and each is not axes:
            each.set_ylabel(after)
    return figure


def _titled(axes: Axes, title: str) -> Figure:
    axes.set_title("", loc="left")  # Optuna puts some titles there
    axes.set_title(title, fontsize=11)
    return plt.gcf()


def _at_epoch(study: optuna.Study, epochs: int) -> optuna.Study:
    """Return an in-memory study of the trials with at least ``epochs``, with their accuracy at that epoch."""
    same = optuna.create_study(direction="maximize")
    for trial in study.get_trials(deepcopy=False):
        if epochs in trial.intermediate_values and trial.state != TrialState.FAIL:
            params = {_LABELS.get(name, name): value for name, value in trial.params.items()}
            distributions = {_LABELS.get(name, name): value for name, value in trial.distributions.items()}
            value = trial.intermediate_values[epochs]
            same.add_trial(create_trial(params=params, distributions=distributions, value=value))
    return same


def _saved(figure: Figure) -> Iterator[tuple[str, bytes]]:
    """Yield a figure as PNG and as PDF, without dates."""
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=DPI, bbox_inches="tight", metadata=metadata)
        yield kind, buffer.getvalue()
    plt.close(figure)

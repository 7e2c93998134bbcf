"""Stage ``tune``: search learning rate, batch size and width of a model on one dataset; write tuned/<model>.yaml.

Reads ``build/datasets/<dataset>/train.npz`` and ``build/folds.npz``; of these, the training part of fold 0 only. The
study is kept in ``build/tuning/<dataset>-<model>-<hash>.journal``: stopped, it goes on where it was; over other data,
code, settings or another space it is another study.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from shearbench.data.dataset import load, read_card
from shearbench.data.folds import read_folds
from shearbench.errors import InputError
from shearbench.execution import run_tasks
from shearbench.params import Params
from shearbench.records import hash_of, write_text
from shearbench.stages.train import experiment_of
from shearbench.training.experiment import Experiment, code_hash
from shearbench.training.trial import TrialResult, TrialTask, rows_of_trials, run_trial
from shearbench.tuning import Setting, Space, Study, Trial, best, search


def main(
    params: Params,
    root: Path,
    model: str,
    *,
    dataset: str | None = None,
    trials: int | None = None,
    timeout: int | None = None,
) -> None:
    """Search, print what was found against the present setting, and write ``tuned/<model>.yaml``.

    Raises:
        InputError: if the model or dataset is unknown, or no trial has a score.
    """
    name = dataset or params.tuning.dataset
    for kind, chosen, known in (("model", model, params.models), ("dataset", name, params.datasets)):
        if chosen not in known:
            raise InputError(f"{kind} must be one of {', '.join(known)}; got {chosen!r}")
    experiment = experiment_of(params, dataset=name, model=model)
    found = search(
        _study(params, experiment, root),
        lambda settings: _run(settings, experiment, root, params.execution.workers),
        trials=trials or params.tuning.trials,
        timeout=timeout or params.tuning.timeout,
    )
    summary = _summary(found, experiment, root)
    write_text(root / "tuned" / f"{model}.yaml", yaml.safe_dump(summary, sort_keys=False))
    _print(summary)


def _study(params: Params, experiment: Experiment, root: Path) -> Study:
    present = Setting(experiment.recipe.learning_rate, experiment.recipe.batch, experiment.width)
    space = Space(**dict(params.models[experiment.model].search))
    dataset, folds = _data(experiment, root)
    sees = [read_card(dataset)["hashes"]["train"], read_folds(folds).hash_of(0), code_hash(experiment)]
    identity = hash_of([experiment.config_hash, asdict(space), *sees])[:12]
    name = f"{experiment.dataset}-{experiment.model}"
    journal = root / "build" / "tuning" / f"{name}-{identity}.journal"
    return Study(journal, name, experiment.seed, space.including(present), present)


def _run(settings: Sequence[Setting], experiment: Experiment, root: Path, workers: int | str) -> list[TrialResult]:
    dataset, folds = _data(experiment, root)
    tasks = [TrialTask(_with(experiment, setting), dataset, folds) for setting in settings]
    return run_tasks(
        run_trial,
        tasks,
        workers=workers,
        label=f"tune {experiment.dataset}-{experiment.model}",
        name=lambda task: f"learning rate {task.experiment.recipe.learning_rate:.2g}",
        units=lambda task: task.experiment.recipe.epochs,
    )


def _with(experiment: Experiment, setting: Setting) -> Experiment:
    changes = {"learning_rate": setting.learning_rate, "batch": setting.batch}
    return experiment.model_copy(
        update={"width": setting.width, "recipe": experiment.recipe.model_copy(update=changes)}
    )


def _data(experiment: Experiment, root: Path) -> tuple[Path, Path]:
    return root / "build" / "datasets" / experiment.dataset, root / "build" / "folds.npz"


def _summary(trials: Sequence[Trial], experiment: Experiment, root: Path) -> dict[str, Any]:
    """Return what ``tuned/<model>.yaml`` holds: the best setting, the present one, and what the search saw."""
    folder, folds = _data(experiment, root)
    table = read_folds(folds)
    rows = rows_of_trials(table, load(folder, "train").labels, experiment)
    assert rows.validation is not None
    return {
        "model": experiment.model,
        "dataset": experiment.dataset,
        "found": _describe(best(trials)),
        "present": _describe(trials[0]),
        "trials": {"finished": len(trials), "failed": sum(trial.score is None for trial in trials)},
        "samples": {"train": len(rows.train), "inner": len(rows.validation)},
        "hashes": {"data": read_card(folder)["hashes"]["train"], "folds": table.hash_of(0)},
    }


def _describe(trial: Trial) -> dict[str, Any]:
    return {**vars(trial.setting), "trial": trial.number, "inner_accuracy": trial.score}


def _print(summary: dict[str, Any]) -> None:
    samples, trials = summary["samples"], summary["trials"]
    table = Table(title=f"{summary['model']} on {summary['dataset']}", title_justify="left")
    for heading in ("setting", "learning rate", "batch", "width", f"accuracy on {samples['inner']} inner samples"):
        table.add_column(heading, justify="left" if heading == "setting" else "right")
    for name in ("present", "found"):
        row = summary[name]
        score = "failed" if row["inner_accuracy"] is None else f"{row['inner_accuracy']:.4f}"
        table.add_row(name, f"{row['learning_rate']:.3g}", str(row["batch"]), f"{row['width']:g}", score)
    console = Console()
    console.print(table)
    console.print(f"{trials['finished']} trials, {trials['failed']} failed. Written to tuned/{summary['model']}.yaml.")
    console.print("One split of few samples ranks settings; it does not prove a difference.")

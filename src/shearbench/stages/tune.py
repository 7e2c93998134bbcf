"""Stage ``tune``: search learning rate, batch size and width of a model on one dataset; write ``tuned/<model>.yaml``.

Reads ``build/datasets/<dataset>/train.npz`` and ``build/tuning_part.npz``; of the dataset, the tuning part alone is
kept for the search. The study and the record of its result are under ``build/tuning/``: stopped, it goes on where it
was; over other data, code, settings or another space it is another study.
"""

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.stages.train import config_of
from shearbench.tuning.job import Job, Resources, run
from shearbench.tuning.results import results_folder, summary, write_results
from shearbench.tuning.space import Space
from shearbench.tuning.tuned import Score, Tuned, read_tuned, tuned_path, write_tuned


def main(
    params: Params,
    root: Path,
    model: str,
    *,
    dataset: str | None = None,
    trials: int | None = None,
    timeout: int | None = None,
) -> None:
    """Search, print what was found against the present setting, and write ``tuned/<model>.yaml`` and the record.

    Raises:
        InputError: if the model or dataset is unknown, or no trial has a score.
    """
    name = dataset or params.tuning.dataset
    for kind, chosen, known in (("model", model, params.models), ("dataset", name, params.datasets)):
        if chosen not in known:
            raise InputError(f"{kind} must be one of {', '.join(known)}; got {chosen!r}")
    read_tuned(tuned_path(root, model))  # a fault in it is better known now than when the search is done
    job = job_of(params, root, dataset=name, model=model)
    wanted = replace(job.resources, trials=trials or job.resources.trials, timeout=timeout or job.resources.timeout)
    job = replace(job, resources=wanted)
    search_result = run(job)
    tuned = summary(job, search_result)
    write_results(results_folder(root / "build", name, model), job, search_result, tuned)
    write_tuned(root, model, name, tuned)
    print_tuned(f"{model} on {name}", tuned)


def job_of(params: Params, root: Path, *, dataset: str, model: str) -> Job:
    """Return the search that ``params`` describes."""
    tuning, space = params.tuning, params.models[model].search
    if space is None:
        raise InputError(
            f"models.{model} of params.yaml must have a search space to be tuned: "
            "search: {learning_rate: [1.0e-4, 1.0e-2], batch: [32, 64], width: [0.5, 1.0]}"
        )
    return Job(
        config=config_of(params, dataset=dataset, model=model),
        space=Space(**dict(space)),
        resources=Resources(**{name: value for name, value in tuning if name not in ("dataset", "share")}),
        build=root / "build",
        rope=params.compare.rope.get(dataset, 0.0),
        alpha=params.compare.alpha,
        workers=params.execution.pool,
    )


def print_tuned(title: str, tuned: Tuned) -> None:
    """Print the finalists, which of them won, and whether it is really better than the present setting."""
    search = tuned.search
    table = Table(title=f"{title}: the finalists", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("", overflow="fold")
    for heading in ("learning rate", "batch", "width", "accuracy, %", "weights", "s/fold", "trial"):
        table.add_column(heading, justify="right", no_wrap=True)
    for score in sorted(tuned.finalists, key=lambda score: -(score.accuracy or 0.0)):
        table.add_row(*_row(score, tuned))
    console = Console()
    console.print(table)
    scored = (
        f"{search.samples_scored} digits of {search.folds} folds within the tuning part of {tuned.reserved.samples}"
    )
    console.print(f"accuracy: mean ± standard deviation over the folds; {scored}.", style="dim")
    console.print(
        f"{search.trials} trials: {search.complete} complete, {search.stopped_early} stopped early, {search.failed} "
        f"failed; {search.epochs} epochs in all."
    )
    console.print(conclusion(tuned), highlight=False)


def conclusion(tuned: Tuned) -> str:
    """Say what won, and whether the difference to the present setting is real."""
    if tuned.hyperparameters == tuned.present:
        return "Found: the present setting is the best."
    if tuned.difference is None:
        return "Found: a setting that trains; the present one failed."
    d = tuned.difference
    return (
        f"Found against present: {100 * d.mean:+.2f} points ({100 * d.low:+.2f} to {100 * d.high:+.2f}, corrected "
        f"resampled t over {tuned.search.folds} folds): {d.verdict}. {d.rule}."
    )


def _row(score: Score, tuned: Tuned) -> tuple[str, ...]:
    name = (
        "found"
        if score.hyperparameters == tuned.hyperparameters
        else "present"
        if score.hyperparameters == tuned.present
        else ""
    )
    if score.accuracy is None or score.sd is None:
        accuracy = f"failed: {score.reason}"
    else:
        accuracy = f"{100 * score.accuracy:.2f} ± {100 * score.sd:.2f}"
    hyperparameters = score.hyperparameters
    values = (
        f"{hyperparameters.learning_rate:.3g}",
        str(hyperparameters.batch),
        f"{hyperparameters.width:g}",
        accuracy,
    )
    return (name, *values, f"{score.parameters / 1e6:.3f}M", f"{score.seconds:.1f}", str(score.trial))

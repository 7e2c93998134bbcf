"""The plan and the result of a search on the terminal."""

from rich.console import Console
from rich.table import Table

from shearbench.training.space import described
from shearbench.tuning.job import Job
from shearbench.tuning.tuned import Score, Tuned


def plan(job: Job, before: Tuned | None) -> str:
    """Return the plan of a search as text, with its time at the present width if an earlier search measured one."""
    resources, halving = job.resources, job.halving
    trials = job.brackets * halving.size
    rounded = "" if trials == resources.trials else f" ({resources.trials} rounded up to whole brackets)"
    epochs = job.brackets * halving.cost + job.reserve
    rungs = ", ".join(str(rung.epochs) for rung in halving.plan)
    sizes = ", then the best trial of each other width" if resources.sizes else ""
    about = "the time left is shown after the first rung"
    if before and (before.present, before.epochs) == (job.present, job.config.units):
        for score in before.finalists:
            if score.hyperparameters == before.present:
                about = f"about {_duration(score.seconds / before.epochs * epochs)} of one core"
    return (
        f"{job.name}: {trials} trials{rounded} of up to {halving.epochs} epochs, compared after {rungs}; "
        f"then the best {resources.finalists} and the present hyperparameters in {resources.folds} folds{sizes}. At "
        f"most {epochs} epochs: {about}. No bracket after the first starts if it would end after "
        f"{_duration(resources.timeout)}."
    )


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

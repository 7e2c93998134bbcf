"""Stage ``tune``: search the space of a model on one dataset; write ``tuned/<model>.yaml``.

Reads ``train.npz`` and ``tuning_part.npz`` of ``build/datasets/<dataset>/``, and uses only the tuning part. Study and
record are in ``build/tuning/``. The stage resumes a stopped study.
"""

import sys
from dataclasses import replace
from pathlib import Path

from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.pipeline.configs import config_of
from shearbench.training.recipe import space_of
from shearbench.tuning.job import Job, run
from shearbench.tuning.results import plan, print_tuned, results_folder, summary, write_results
from shearbench.tuning.tuned import Tuned, read_tuned, tuned_path, write_tuned


def main(
    params: Params,
    root: Path,
    model: str,
    *,
    dataset: str | None = None,
    trials: int | None = None,
    timeout: int | None = None,
    replacing: bool = False,
) -> None:
    """Search, print the result beside the present hyperparameters, and write ``tuned/<model>.yaml`` and the record.

    Args:
        replacing: allow a search with fewer trials to replace one with more.

    Raises:
        InputError: if the model or dataset is unknown, no trial has a score, or a larger search would be replaced.
    """
    name = dataset or params.tuning.dataset
    for kind, chosen, known in (("model", model, params.models), ("dataset", name, params.datasets)):
        if chosen not in known:
            raise InputError(f"{kind} must be one of {', '.join(known)}; got {chosen!r}")
    path = tuned_path(root, model)
    before = read_tuned(path).get(name)  # read first, so that a fault is reported before the search
    job = job_of(params, root, dataset=name, model=model)
    wanted = {"trials": trials or job.resources.trials, "timeout": timeout or job.resources.timeout}
    job = replace(job, resources=job.resources.model_copy(update=wanted))
    least = before.search.trials if before and not replacing else 0
    _refuse_smaller(job, least, path, job.brackets * job.halving.size)
    print(plan(job, before), file=sys.stderr)
    search_result = run(job)
    tuned, folder = summary(job, search_result), results_folder(root / "build", name, model)
    _refuse_smaller(job, least, path, tuned.search.trials)  # a timeout may have reduced the trials
    write_results(folder, job, search_result, tuned)
    write_tuned(root, model, name, tuned)
    print_tuned(f"{model} on {name}", tuned)
    print(f"Written: {path}\nPicture: {folder / 'history.png'}\n{_next_step(model, tuned)}")


def _next_step(model: str, tuned: Tuned) -> str:
    if tuned.hyperparameters == tuned.present:
        return "Next: nothing; params.yaml has the best hyperparameters already"
    use = f"set training.use_tuned: [{model}] in params.yaml, then run `make repro`"
    return f"To train with the hyperparameters found: {use}"


def _refuse_smaller(job: Job, least: int, path: Path, trials: int) -> None:
    """Raise InputError if a search, also of another recipe, would be replaced by one with fewer trials."""
    if trials < least:
        raise InputError(
            f"{path} has a search of {least} trials on {job.config.dataset}; this one has {trials} and "
            f"would replace it. Give --trials {least} and enough --timeout, or --replace (REPLACE=1)"
        )


def job_of(params: Params, root: Path, *, dataset: str, model: str) -> Job:
    """Return the search job of ``params`` for a model on a dataset."""
    space = params.models[model].search
    if space is None:
        raise InputError(
            f"models.{model} of params.yaml must have a search space to be tuned; for a network as "
            "search: {learning_rate: [1.0e-4, 1.0e-2], width: [0.5, 1.0]}, for a classifier with an option C as "
            "search: {C: {log: [0.01, 1000]}}"
        )
    return Job(
        config=config_of(params, dataset=dataset, model=model),
        space=space_of(space),
        resources=params.tuning,
        build=root / "build",
        rope=params.compare.rope.get(dataset, 0.0),
        alpha=params.compare.alpha,
        workers=params.execution.pool,
    )

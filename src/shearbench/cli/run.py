"""Commands that run stages and searches, on this machine or on a cluster of ``shearbench worker``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from shearbench import stages
from shearbench.cli.shared import Scheduler, commands, explained, names_in, project, read_params
from shearbench.pipeline.dvc import CODE, NAMES

app, command = commands("Run")
LOWEST_PRIORITY = 19
STAGE_HELP = f"{', '.join(NAMES[:-1])} or {NAMES[-1]}."
RUN_HELP = """A run of params.yaml for train and evaluate, a dataset for explore, an ablation for ablation and
ablation_result; omit for other stages."""


def _stages(begun: str) -> list[str]:
    return [name for name in NAMES if name.startswith(begun)]


@command
def repro() -> None:
    """Run every stage that is not up to date, with one progress bar and the time left. Equivalent to `dvc repro`.

    \b
    Example:
      shearbench repro
    """
    from shearbench.commands import repro as pipeline

    raise typer.Exit(pipeline.main(project()))


@command
def stage(
    name: Annotated[str, typer.Argument(help=STAGE_HELP, autocompletion=_stages)],
    of: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=names_in("runs", "datasets", "ablations")),
    ] = None,
    scheduler: Scheduler = None,
) -> None:
    """Run one stage of dvc.yaml, even if it is up to date.

    \b
    Examples:
      shearbench stage prepare
      shearbench stage train mnist-cnn3
    """
    if name == CODE:
        from shearbench.stages import code

        code.main(project())
        return
    stages.run(name, of, read=lambda: read_params(scheduler), root=project())


@app.command(hidden=True)
@explained
def beside(task: Annotated[str, typer.Argument(help="ablations or tracking.")]) -> None:
    """Train ablations, or send records to MLflow, at the lowest priority. `shearbench repro` runs this.

    \b
    Example:
      shearbench beside ablations
    """
    from shearbench.pipeline.dvc import end_with_parent

    end_with_parent()
    os.nice(LOWEST_PRIORITY)
    params, root = read_params(None), project()
    if task == "ablations":
        from shearbench.stages import ablation

        ablation.ahead(params, root)
    elif params.tracking.uri != "off":
        from shearbench.stages import track

        track.follow(params, root)


@command
def tune(
    model: Annotated[str, typer.Argument(help="A model of params.yaml.", autocompletion=names_in("models"))],
    dataset: Annotated[
        str | None,
        typer.Option(help="A dataset of params.yaml; default: tuning.dataset.", autocompletion=names_in("datasets")),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Number of trials; default: tuning.trials.")] = None,
    timeout: Annotated[int | None, typer.Option(min=1, help="Time limit in seconds; default: tuning.timeout.")] = None,
    replacing: Annotated[bool, typer.Option("--replace", help="Replace a search of more trials.")] = False,
    scheduler: Scheduler = None,
) -> None:
    """Search hyperparameters of a model. Ctrl-C stops; the same command continues.

    \b
    Examples:
      shearbench tune resnet18 --trials 40
      shearbench tune cnn3 --dataset mnist --timeout 1800
    """
    from shearbench.stages import tune as tuning

    params, root = read_params(scheduler), project()
    from shearbench.stages import track

    tuning.main(params, root, model, dataset=dataset, trials=trials, timeout=timeout, replacing=replacing)
    track.main(params, root)


@command
def worker(
    scheduler: Annotated[str, typer.Argument(metavar="tcp://HOST:PORT", help="The address of `dask scheduler`.")],
    processes: Annotated[int, typer.Option(min=1, help="Number of parallel tasks, one process each.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="How many of these processes get a GPU of their own.")] = 0,
    folder: Annotated[Path, typer.Option(help="Folder for cached inputs and running tasks.")] = Path("build/worker"),
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: automatic.")] = None,
) -> None:
    """Run tasks of a dask scheduler until Ctrl-C.

    \b
    Examples:
      shearbench worker tcp://10.0.0.1:8786 --processes 16
      shearbench worker tcp://10.0.0.1:8786 --processes 4 --gpus 4
    """
    from shearbench.execution.worker import serve

    serve(scheduler, processes=processes, gpus=gpus, folder=folder, host=host)

"""Commands that run stages and searches, here or on a cluster of ``shearbench worker``, and show their results."""

import json
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from shearbench import stages
from shearbench.cli.shared import (
    AsJson,
    Quiet,
    Scheduler,
    commands,
    explained,
    names_in,
    project,
    read_params,
    refuse_taken,
)
from shearbench.pipeline.dvc import CODE, NAMES

app, command = commands("Run")
shown, show = commands("See results")
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
    from shearbench.execution.calls import end_with_parent

    end_with_parent(os.getppid(), signal.SIGTERM)
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


@show
def results(as_json: AsJson = False) -> None:
    """Print the comparison table, the path of the report and the command that opens MLflow.

    \b
    Examples:
      shearbench results
      shearbench results --json > results.json
    """
    from shearbench.comparison import printed

    root = project()
    if as_json:
        print(json.dumps(printed.read_tables(root), indent=1))
        return
    printed.print_tables(root)
    report = root / "reports" / "index.html"
    print(f"Report:  {report if report.is_file() else 'none yet, run `dvc repro`'}\nMLflow:  shearbench ui")


@show
def join(folder: Annotated[Path, typer.Argument(help="Folder with card.yaml and predictions of each fold.")]) -> None:
    """Compare the predictions of a model that was trained elsewhere with the runs of its dataset.

    \b
    Example:
      shearbench join results/vision-transformer
    """
    from shearbench.commands import join as joining
    from shearbench.comparison.printed import print_pairs

    found = joining.main(read_params(), project(), folder)
    print_pairs(found)
    name = f"{found['card']['dataset']}-{found['card']['model']}"
    accuracies = ", ".join(f"{100 * found[f'{kind}_accuracy']:.2f} % {kind}" for kind in ("cv", "test"))
    print(f"{name}: {accuracies}; reports/joined/{name}.csv. Show it in the report: dvc repro report")


@show
def export(folder: Annotated[Path, typer.Argument(help="New folder.")]) -> None:
    """Export results for a paper: tables as CSV and LaTeX, figures as PDF, model cards, BibTeX, and a zip of all.

    \b
    Example:
      shearbench export paper/
    """
    from shearbench.commands import export as exporting

    written = exporting.main(read_params(), project(), folder)
    print(f"{folder}: {len(written)} files; {written[-1]} contains all of them")


@show
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Serve MLflow's pages on 127.0.0.1, for this machine only.

    \b
    Example:
      shearbench ui --port 5001
    """
    from shearbench.tracking import mirror
    from shearbench.tracking.mirror import address

    refuse_taken(port)
    served = mirror.ui_command(project(), port)
    print(f"Open {address(project(), port)} (Ctrl-C stops MLflow)", flush=True)
    os.execvp(served[0], served)


@show
def track(
    follow: Annotated[bool, typer.Option("--follow", help="Continue until Ctrl-C, beside a long run.")] = False,
    readers: Annotated[bool, typer.Option("--readers", help="Also register the shipped readers.")] = False,
    quiet: Quiet = False,
) -> None:
    """Send new records to MLflow. `dvc repro` ends with this.

    \b
    Examples:
      shearbench track
      shearbench track --follow
    """
    from shearbench.stages import track as tracking

    params, root = read_params(), project()
    if readers and not tracking.send_readers(params, root):
        raise typer.Exit(1)
    message = "MLflow has every record"
    if params.tracking.uri == "off":
        message = "tracking.uri is off in params.yaml: nothing was sent"
    elif follow:
        tracking.follow(params, root)
    elif not tracking.send(params, root):
        raise typer.Exit(1)
    if not quiet:
        print(message)


@show
def verify(
    sample: Annotated[int, typer.Option(min=1, help="Number of folds to train again, drawn at random.")] = 2,
    scheduler: Scheduler = None,
) -> None:
    """Check the hash of every stored file, train some folds again and report whether they are equal bit for bit.

    \b
    Example:
      shearbench verify --sample 5
    """
    from shearbench.commands import verify as verification

    if not verification.main(read_params(scheduler), project(), sample=sample):
        raise typer.Exit(1)

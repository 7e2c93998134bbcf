"""Commands that show, export, track and verify results."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Quiet, Scheduler, commands, project, read_params, refuse_taken

app, command = commands("See results")


@command
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
    print(f"Report:  {root / 'reports' / 'index.html'}\nMLflow:  make ui")


@command
def join(folder: Annotated[Path, typer.Argument(help="Folder with card.yaml and predictions of each fold.")]) -> None:
    """Compare the predictions of a model that was trained elsewhere with the runs of its dataset.

    \b
    Example:
      shearbench join results/vision-transformer
    """
    from shearbench.commands import join as command
    from shearbench.comparison.printed import print_pairs

    found = command.main(read_params(), project(), folder)
    print_pairs(found)
    name = f"{found['card']['dataset']}-{found['card']['model']}"
    accuracies = ", ".join(f"{100 * found[f'{kind}_accuracy']:.2f} % {kind}" for kind in ("cv", "test"))
    print(f"{name}: {accuracies}; reports/joined/{name}.csv. Show it in the report: dvc repro report")


@command
def export(folder: Annotated[Path, typer.Argument(help="New folder.")]) -> None:
    """Export results for a paper: tables as CSV and LaTeX, figures as PDF, model cards, BibTeX, and a zip of all.

    \b
    Example:
      shearbench export paper/
    """
    from shearbench.commands import export as command

    written = command.main(read_params(), project(), folder)
    print(f"{folder}: {len(written)} files; {written[-1]} contains all of them")


@command
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Serve MLflow's pages on 127.0.0.1, for this machine only.

    \b
    Example:
      shearbench ui --port 5001
    """
    from shearbench.tracking import mirror
    from shearbench.tracking.mirror import address

    refuse_taken(port)
    command = mirror.ui_command(project(), port)
    print(f"Open {address(project(), port)} (Ctrl-C stops MLflow)", flush=True)
    os.execvp(command[0], command)


@command
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


@command
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

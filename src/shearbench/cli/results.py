"""Commands that show and check what is there."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Quiet, Scheduler, explained, project, read_params

app = typer.Typer()
PANEL = "See results"


@app.command(rich_help_panel=PANEL)
@explained
def results(as_json: AsJson = False) -> None:
    """Print the comparison table, the path of the report, and how to open MLflow.

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


@app.command(rich_help_panel=PANEL)
@explained
def export(folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")]) -> None:
    """Write the run for a paper: tables as CSV and LaTeX, figures as PDF, model cards, BibTeX, and a zip of all.

    \b
    Example:
      shearbench export paper/
    """
    from shearbench.commands import export as command

    written = command.main(read_params(), project(), folder)
    print(f"{len(written)} files in {folder}, all of them in {written[-1]}")


@app.command(rich_help_panel=PANEL)
@explained
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Open MLflow's pages on 127.0.0.1, for this machine only.

    \b
    Example:
      shearbench ui --port 5001
    """
    from shearbench import tracking
    from shearbench.tracking.pages import address

    if _is_taken(port):
        print(f"shearbench: port {port} of 127.0.0.1 is taken; try --port {port + 1}", file=sys.stderr)
        raise typer.Exit(1)
    command = tracking.ui_command(project(), port)
    print(f"Open {address(project(), port)} (Ctrl-C here ends MLflow)", flush=True)
    os.execvp(command[0], command)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@app.command(rich_help_panel=PANEL)
@explained
def track(
    follow: Annotated[bool, typer.Option("--follow", help="Go on until Ctrl-C, beside a long run.")] = False,
    quiet: Quiet = False,
) -> None:
    """Send MLflow the records that it does not have yet. `dvc repro` ends with this.

    \b
    Examples:
      shearbench track
      shearbench track --follow
    """
    from shearbench.stages import track as tracking

    params, root = read_params(), project()
    said = "MLflow has every record"
    if params.tracking.uri == "off":
        said = "tracking.uri is off in params.yaml: nothing is sent"
    elif follow:
        tracking.follow(params, root)
    elif not tracking.send(params, root):
        raise typer.Exit(1)
    if not quiet:
        print(said)


@app.command(rich_help_panel=PANEL)
@explained
def verify(
    sample: Annotated[int, typer.Option(min=1, help="How many folds to train again, picked at random.")] = 2,
    scheduler: Scheduler = None,
) -> None:
    """Check the hash of every stored file, train some folds again, and say whether they come out the same.

    \b
    Example:
      shearbench verify --sample 5
    """
    from shearbench.commands import verify as verification

    if not verification.main(read_params(scheduler), project(), sample=sample):
        raise typer.Exit(1)

"""Commands that show and check what is there."""

import os
from typing import Annotated

import typer

from shearbench.cli.shared import explained, project, read_params

app = typer.Typer()
PANEL = "See results"


@app.command(rich_help_panel=PANEL)
@explained
def results() -> None:
    """Print the comparison table, the path of the report, and how to open MLflow.

    \b
    Example:
      shearbench results
    """
    from shearbench.stages import compare

    root = project()
    compare.print_tables(root)
    print(f"Report:  {root / 'reports' / 'index.html'}\nMLflow:  make ui")


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

    command = tracking.ui_command(project(), port)
    print(f"Open {address(project(), port)} (Ctrl-C here ends MLflow)", flush=True)
    os.execvp(command[0], command)


@app.command(rich_help_panel=PANEL)
@explained
def track() -> None:
    """Send MLflow the records that it does not have yet.

    \b
    Example:
      shearbench track
    """
    from shearbench import stages, tracking

    params = read_params()
    if params.tracking.uri == tracking.OFF:
        print("tracking.uri is off in params.yaml: nothing is sent")
    elif tracking.track_all(project(), params) and stages.track_searches(params, project()):
        print("MLflow has every record")
    else:
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
@explained
def verify(
    sample: Annotated[int, typer.Option(min=1, help="How many folds to train again, picked at random.")] = 2,
) -> None:
    """Check the hash of every stored file, train some folds again, and say whether they come out the same.

    \b
    Example:
      shearbench verify --sample 5
    """
    from shearbench.stages import verify as verification

    if not verification.main(read_params(), project(), sample=sample):
        raise typer.Exit(1)

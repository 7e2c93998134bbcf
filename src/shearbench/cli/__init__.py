"""The command ``shearbench``. Each command reads ``params.yaml`` in the current folder and calls one function.

Commands import heavy modules inside their functions, so that ``--help`` is fast. Exit statuses: 2 for bad input, 1 for
failed work, 130 for Ctrl-C. Only errors in shearbench itself show a traceback.

Each file of this folder has an ``app`` with the commands of one purpose. ``GROUPS`` orders them in the help.
"""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli import mechanics, prepare, read, results, run, statistics, surroundings
from shearbench.cli.shared import explained
from shearbench.code import NETWORKS

GROUPS = (prepare, run, results, statistics, read, mechanics)

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `make repro`; the README explains it. `shearbench COMMAND --help` shows examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in GROUPS:
    app.add_typer(group.app)


def _print_version(wanted: bool) -> None:
    """Print the versions of the libraries that affect results, and exit."""
    if wanted:
        named = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "mlflow", "dvc", "optuna"))
        typer.echo(f"shearbench {version('shearbench')} (Python {platform.python_version()}, {named})")
        raise typer.Exit


@app.callback()
@explained
def begin(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions and exit.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option("-C", metavar="DIR", exists=True, file_okay=False, help="Run in DIR, as with git."),
    ] = None,
) -> None:
    """Compare image classifiers with tracked, cross-validated benchmarks."""
    surroundings.report(surroundings.settle())
    if directory is not None:
        os.chdir(directory)
    folder = str(Path.cwd() / NETWORKS)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that no module there hides a library's module

"""The command ``shearbench``. Each command reads ``params.yaml`` in the present folder and calls one function.

Heavy modules are imported inside the commands, so that ``--help`` answers at once. A user's mistake ends in one
message and exit status 2, work that failed in status 1, Ctrl-C in 130; only our own faults show a traceback.

A file of this folder holds the commands of one purpose, on an ``app`` of its own; ``GROUPS`` gives their order in the
help. A new purpose is one file and one entry there.
"""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli import mechanics, prepare, read, results, run, statistics, surroundings
from shearbench.code import NETWORKS

GROUPS = (prepare, run, results, statistics, read, mechanics)

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `make repro`; the README explains what it does. `shearbench COMMAND --help` shows examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in GROUPS:
    app.add_typer(group.app)


def _print_version(wanted: bool) -> None:
    """Print the versions that decide what a number is, and end."""
    if wanted:
        named = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "mlflow", "dvc", "optuna"))
        typer.echo(f"shearbench {version('shearbench')} (Python {platform.python_version()}, {named})")
        raise typer.Exit


@app.callback()
def begin(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions, and end.")
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option("-C", metavar="DIR", exists=True, file_okay=False, help="Work in DIR, as git does."),
    ] = None,
) -> None:
    """Compare image classifiers on digits, sheared digits and strangers' digits, tracked and cross-validated."""
    surroundings.report(surroundings.settle())
    if directory is not None:
        os.chdir(directory)
    folder = str(Path.cwd() / NETWORKS)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that no module there can hide one of a library

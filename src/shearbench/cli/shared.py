"""Shared parts of the commands: error messages, the project folder, its parameters."""

import functools
import os
import select
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer
import yaml
from rich.console import Console

import shearbench
from shearbench import yaml12
from shearbench.errors import InputError, TasksFailed, explain, shown

if TYPE_CHECKING:
    from shearbench.params import Params

P = ParamSpec("P")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing on success.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        envvar="SHEARBENCH_SCHEDULER",
        help="Run on this dask cluster instead of this machine.",
    ),
]


def commands(heading: str, **options: Any) -> tuple[typer.Typer, Callable[[Callable[P, None]], Callable[P, None]]]:
    """Return the commands below a heading of the help, and a decorator that adds one with :func:`explained`."""
    app = typer.Typer(**options)
    return app, lambda command: app.command(rich_help_panel=heading)(explained(command))


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn failures that a user can fix into a message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and _reader_has_left():
                raise typer.Exit(141) from None  # as of a program that SIGPIPE ends
            _stop(explain(error), 1)
        except InputError as error:
            _stop(str(error), 2)
        except TasksFailed as error:
            _stop(str(error), 1)
        except ImportError as error:
            _stop(_of_import(error), 1)
        except KeyboardInterrupt:
            _stop("stopped. Finished work is stored, and the same command continues", 130)

    return run


def _reader_has_left() -> bool:
    """Return True if nobody reads the output any more, as after ``| head``; what is left of it is then discarded."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLOUT)
    left = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return left


def _stop(message: str, status: int) -> None:
    Console(stderr=True).print("[bold red]shearbench:[/]", end=" ")
    print(shown(message, keep="\n"), file=sys.stderr)
    raise typer.Exit(status)


def _of_import(error: ImportError) -> str:
    """Return a message that names the library whose import failed, and the fix.

    Raises:
        ImportError: if a module of shearbench itself cannot be imported.
    """
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    own, place = Path(shearbench.__file__).parent, Path(frames[-1])
    if str(error.name).partition(".")[0] == own.name:
        raise error
    paths = [Path(folder).resolve() for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    foreign = next((path for path in paths if path in place.resolve().parents and path != own.parent), None)
    step = f"unset PYTHONPATH, which puts {foreign} first" if foreign else "make the environment again: `make setup`"
    return f"a library cannot be imported: {error} (in {place}); {step}"


def refuse_taken(port: int) -> None:
    """End with status 1 if another program listens on a port of 127.0.0.1."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            _stop(f"port {port} on 127.0.0.1 is in use; try --port {port + 1}", 1)


def project() -> Path:
    """Return the project folder: the current directory.

    Raises:
        InputError: if it has no ``params.yaml`` (the message names a parent folder that has one), or if the project
            has code of its own and other code runs.
    """
    here = Path.cwd()
    if (here / "params.yaml").is_file():
        _refuse_foreign_code(here)
        return here
    around = next((folder for folder in here.parents if (folder / "params.yaml").is_file()), None)
    step = f"cd {around}" if around else "change to the folder of your project, then run this command again"
    raise InputError(f"{here} is not a shearbench project: it has no params.yaml; {step}")


def _refuse_foreign_code(root: Path) -> None:
    """Raise if code of another folder runs: DVC would record the project's code as the origin of the results."""
    own, running = root / "src" / "shearbench", Path(shearbench.__file__).parent
    if own.is_dir() and own.resolve() != running.resolve() and not _is_copied_by_dvc(root, own, running):
        raise InputError(
            f"this project's code is {own}, but {running} runs. Activate the project's own environment "
            "(`. .venv/bin/activate`). In a copied or moved folder, make it first (`rm -rf .venv && make setup`)"
        )


def _is_copied_by_dvc(root: Path, own: Path, running: Path) -> bool:
    """Return True in the copy made by ``dvc exp run --temp``, if its code equals that of its project."""
    from shearbench.tracking.store import home

    original = home(root) / "src" / "shearbench"
    sources = [{path.relative_to(each): path.read_bytes() for path in each.rglob("*.py")} for each in (own, running)]
    return home(root) != root.resolve() and original.resolve() == running.resolve() and sources[0] == sources[1]


def names_in(*parts: str) -> Callable[[str], list[str]]:
    """Return a shell completion for the names below these parts of ``params.yaml``."""

    def complete(begun: str) -> list[str]:
        try:
            document = yaml12.parse(Path("params.yaml").read_text())
            names = [str(name) for part in parts for name in document[part]]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            return []  # completion cannot show an error; the command itself reports it
        return [name for name in names if name.startswith(begun)]

    return complete


def read_params(scheduler: str | None = None) -> "Params":
    """Return the project's ``params.yaml``; with a scheduler, for execution on its cluster."""
    from shearbench.params import load

    params = load(project() / "params.yaml")
    return params.model_copy(update={"execution": params.execution.on(scheduler)}) if scheduler else params

"""What the commands have in common: how failures are told, where the project is, and what its parameters say."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer
import yaml
from rich.console import Console

import shearbench
from shearbench import yaml12
from shearbench.errors import InputError, TasksFailed, explain
from shearbench.text import shown

if TYPE_CHECKING:
    from shearbench.params import Params

P = ParamSpec("P")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing where all is well.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT", envvar="SHEARBENCH_SCHEDULER", help="Work on this dask cluster instead of here."
    ),
]


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the failures that a user can mend into a message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except OSError as error:
            _stop(explain(error), 1)
        except InputError as error:
            _stop(str(error), 2)
        except TasksFailed as error:
            _stop(str(error), 1)
        except KeyboardInterrupt:
            _stop("stopped; what is finished is kept, and the same command goes on from there", 130)

    return run


def _stop(message: str, status: int) -> None:
    Console(stderr=True).print("[bold red]shearbench:[/]", end=" ")
    print(shown(message, keep="\n"), file=sys.stderr)
    raise typer.Exit(status)


def project() -> Path:
    """Return the project's folder, which is the present one.

    Raises:
        InputError: if it has no ``params.yaml``; where a folder around it has one, the message names that. Also if it
            has its own code, and other code runs.
    """
    here = Path.cwd()
    if (here / "params.yaml").is_file():
        _refuse_foreign_code(here)
        return here
    around = next((folder for folder in here.parents if (folder / "params.yaml").is_file()), None)
    step = f"cd {around}" if around else "change into the folder that you cloned, then run this command again"
    raise InputError(f"{here} is no project of shearbench, which has a params.yaml: {step}")


def _refuse_foreign_code(root: Path) -> None:
    """Refuse to run with code of another folder: DVC would name the project's own as what made the results."""
    own, running = root / "src" / "shearbench", Path(shearbench.__file__).parent
    if own.is_dir() and own.resolve() != running.resolve():
        raise InputError(
            f"this project's code is {own}, but {running} is what runs: activate the project's own environment "
            "(`. .venv/bin/activate`), or make it first (`rm -rf .venv && make setup`), as in a copied or moved folder"
        )


def names_in(*parts: str) -> Callable[[str], list[str]]:
    """Return what completes the names beneath these parts of ``params.yaml``, as the shell asks for them."""

    def complete(begun: str) -> list[str]:
        try:
            document = yaml12.parse(Path("params.yaml").read_text())
            names = [str(name) for part in parts for name in document[part]]
        except (OSError, yaml.YAMLError, KeyError, TypeError):
            return []  # a shell that completes has no place for a complaint; the command itself makes it
        return [name for name in names if name.startswith(begun)]

    return complete


def read_params(scheduler: str | None = None) -> "Params":
    """Read ``params.yaml`` of the project; where a scheduler is given, the work is to be done there."""
    from shearbench.params import load

    params = load(project() / "params.yaml")
    return params.model_copy(update={"execution": params.execution.on(scheduler)}) if scheduler else params

"""Commands before the first run: parameters and data."""

from itertools import chain, product
from typing import Annotated

import typer

from shearbench.cli.shared import explained, project, read_params
from shearbench.errors import InputError

app = typer.Typer()
PANEL = "Get ready"


@app.command(rich_help_panel=PANEL)
@explained
def data(
    adopt: Annotated[bool, typer.Option(help="Take what params.yaml says into data/, and record its hash.")] = False,
) -> None:
    """Make data/ from the sources in params.yaml, and check it against the hash in data.dvc.

    \b
    Examples:
      shearbench data
      shearbench data --adopt        after sources.mnist of params.yaml names another folder
    """
    from shearbench.data import raw

    root = project()
    raw.build(root / "data", read_params().sources, root / "data.dvc", adopt=adopt, report=print)


@app.command(rich_help_panel=PANEL)
@explained
def check() -> None:
    """Check params.yaml, and that every network in it can be built, before any long work starts.

    \b
    Example:
      shearbench check
    """
    from shearbench import models

    params = read_params()
    of_cells = [(params.models[cell.model], params.datasets[cell.dataset]) for cell in params.cells.values()]
    of_experiments = [product(each.models.values(), each.datasets.values()) for each in params.experiments.values()]
    for model, dataset in chain(of_cells, *of_experiments):
        models.check(model.architecture, channels=dataset.channels, width=model.width, options=model.options)
    parts = ("datasets", "models", "cells", "experiments")
    print(f"params.yaml is all right: {', '.join(f'{len(getattr(params, part))} {part}' for part in parts)}")


@app.command(rich_help_panel=PANEL)
@explained
def profile(
    name: Annotated[str, typer.Argument(help="A file of profiles/, without .yaml.")],
) -> None:
    """Replace params.yaml by profiles/NAME.yaml. `git checkout params.yaml` brings it back.

    \b
    Example:
      shearbench profile full
    """
    from shearbench.params import load
    from shearbench.records import write_bytes

    root = project()
    source = root / "profiles" / f"{name}.yaml"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in (root / "profiles").glob("*.yaml"))) or "none"
        raise InputError(f"profiles/{name}.yaml does not exist; there is: {known}")
    load(source)
    write_bytes(root / "params.yaml", source.read_bytes())
    print(f"params.yaml is now profiles/{name}.yaml; `shearbench data --adopt` if its sources differ")

"""Commands on the statistics themselves: what a design can find, and how often the tests are wrong."""

from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Scheduler, explained, names_in, project, read_params
from shearbench.errors import InputError

app = typer.Typer()
PANEL = "Statistics"


@app.command(rich_help_panel=PANEL)
@explained
def aa(scheduler: Scheduler = None) -> None:
    """Test the suite on itself: how often does each test claim a difference where there is none? Takes minutes.

    A small network is trained against itself over many seeds, and nulls are simulated. Stopped, it goes on.

    \b
    Example:
      shearbench aa
    """
    from shearbench.commands import aa as evaluated

    if not evaluated.main(read_params(scheduler), project()):
        raise typer.Exit(1)


@app.command(rich_help_panel=PANEL)
@explained
def design(
    pilot: Annotated[
        list[str] | None,
        typer.Argument(help="Two runs with finished folds, as the pilot.", autocompletion=names_in("runs")),
    ] = None,
    sd: Annotated[float | None, typer.Option(help="Or the standard deviation of fold differences, a fraction.")] = None,
    difference: Annotated[
        float | None, typer.Option(help="A difference to be detected, a fraction: what it takes.")
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Default: cv.folds.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Default: cv.repeats.")] = None,
    comparisons: Annotated[
        int | None, typer.Option(min=1, help="Pairs that Holm adjusts over; default: all pairs of networks.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say, before hours are spent, how small a difference these folds and repeats can detect.

    \b
    Examples:
      shearbench design mnist-cnn3 mnist-resnet18 --difference 0.01
      shearbench design --sd 0.008 --folds 10 --repeats 3 --json
    """
    from shearbench.commands import design as planning

    if pilot is not None and len(pilot) != 2:
        raise InputError(f"a pilot is two runs; got {len(pilot)}: {' '.join(pilot)}")
    params = read_params()
    planning.main(
        params,
        project(),
        runs=(pilot[0], pilot[1]) if pilot else None,
        sd=sd,
        difference=difference,
        design=planning.design_of(params, folds=folds, repeats=repeats, comparisons=comparisons),
        as_json=as_json,
    )

"""Command for the power of a design."""

from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, explained, names_in, project, read_params
from shearbench.errors import InputError

app = typer.Typer()
PANEL = "Statistics"


@app.command(rich_help_panel=PANEL)
@explained
def design(
    pilot: Annotated[
        list[str] | None,
        typer.Argument(help="Two runs with finished folds, as a pilot.", autocompletion=names_in("runs")),
    ] = None,
    sd: Annotated[
        float | None, typer.Option(help="Instead of a pilot: standard deviation of fold differences, a fraction.")
    ] = None,
    difference: Annotated[
        float | None, typer.Option(help="Difference to detect, a fraction: prints the repeats it needs.")
    ] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Default: cv.folds.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Default: cv.repeats.")] = None,
    sets: Annotated[
        int | None, typer.Option(min=2, help="Disjoint training sets, in place of folds and repeats.")
    ] = None,
    comparisons: Annotated[
        int | None, typer.Option(min=1, help="Number of pairs in the family; default: all pairs of a dataset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the smallest difference that these folds and repeats, or disjoint sets, can detect.

    \b
    Examples:
      shearbench design mnist-cnn3 mnist-resnet18 --difference 0.01
      shearbench design --sd 0.008 --folds 10 --repeats 3 --json
      shearbench design --sd 0.008 --sets 15
    """
    from shearbench.commands import design as planning

    if pilot is not None and len(pilot) != 2:
        raise InputError(f"a pilot needs two runs; got {len(pilot)}: {' '.join(pilot)}")
    params = read_params()
    planning.main(
        params,
        project(),
        runs=(pilot[0], pilot[1]) if pilot else None,
        sd=sd,
        difference=difference,
        design=planning.design_of(params, folds=folds, repeats=repeats, sets=sets, comparisons=comparisons),
        as_json=as_json,
    )

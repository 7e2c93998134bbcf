"""Commands that read a stranger's digits."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import explained, project, read_params

app = typer.Typer()
PANEL = "Read digits"


@app.command(rich_help_panel=PANEL)
@explained
def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PNG or JPEG files, a digit in each.")],
    dataset: Annotated[
        str, typer.Option(help="Whose best network reads; for fields each digit is sheared first.")
    ] = "mnist",
    model: Annotated[str | None, typer.Option(help="Another network than the best by cross-validation.")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Write FILE.gradcam.png: where the network looks.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print file and class alone, ? where not sure.")] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Print what to ask MLflow's server; read nothing.")
    ] = False,
) -> None:
    """Read the digits in image files: class, calibrated confidence and runner-up; ? where it is not sure.

    Exit status 1 if a file could not be read.

    \b
    Examples:
      shearbench predict seven.png
      shearbench predict photos/*.jpg --model cnn3 --explain
      shearbench predict photos/*.jpg --json > readings.json
    """
    from shearbench.stages import predict as reading

    params = read_params()
    if request:
        print(json.dumps(reading.request(params, files, dataset=dataset)))
        return
    result = reading.main(params, project(), files, dataset=dataset, model=model, explain=explain)
    if as_json:
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        reading.print_result(result, quiet=quiet)
    if any("unread" in image for image in result["images"]):
        raise typer.Exit(1)

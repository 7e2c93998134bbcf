"""Commands that read strangers' digits."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Scheduler, explained, names_in, project, read_params

app = typer.Typer()
PANEL = "Read digits"


@app.command(rich_help_panel=PANEL)
@explained
def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PNG or JPEG files, a digit in each.")],
    dataset: Annotated[
        str,
        typer.Option(
            help="Whose best network reads; for fields each digit is sheared first.",
            autocompletion=names_in("datasets"),
        ),
    ] = "mnist",
    model: Annotated[
        str | None,
        typer.Option(help="Another network than the best by cross-validation.", autocompletion=names_in("models")),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Write FILE.gradcam.png: where the network looks.")
    ] = False,
    as_json: AsJson = False,
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
    from shearbench.commands import predict as reading

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


@app.command(rich_help_panel=PANEL)
@explained
def handwriting(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of PNGs named digit-group-member.png.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Also train on with the other groups' digits, for each group.")
    ] = False,
    scheduler: Scheduler = None,
) -> None:
    """Let every trained network read a class's digits: step by step, group by group, with copies of MNIST found.

    Prints the tables, writes build/handwriting/, a report of it, and tells MLflow.

    \b
    Examples:
      shearbench handwriting data/class_digits
      shearbench handwriting ~/class --json class.json --fine-tune
    """
    from shearbench.commands import class_folder
    from shearbench.records import write_json

    results = class_folder.main(read_params(scheduler), project(), folder, fine_tune=fine_tune)
    if json_file is not None:
        write_json(json_file, results)

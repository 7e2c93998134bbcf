"""Commands that classify photographed digits."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Scheduler, commands, names_in, project, read_params, refuse_taken
from shearbench.errors import InputError

app, command = commands("Predict")

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Pictures with one digit each, or folders of pictures.")
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help="Use the project's best model of this dataset; for fields each digit is sheared first.",
        autocompletion=names_in("datasets"),
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", help="Use a model of the project instead of the readers.", autocompletion=names_in("models")
    ),
]
Table = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", dir_okay=False, help="Write a table of the predictions.")
]
Labels = Annotated[
    Path | None, typer.Option(metavar="CSV", help="Table with the columns file, digit and, if known, group and member.")
]


@command
def predict(
    files: Files,
    many: Annotated[bool, typer.Option("--many", help="Find all digits in each picture and draw boxes.")] = False,
    dataset: DatasetName = None,
    model: ModelName = None,
    labels: Labels = None,
    explain: Annotated[bool, typer.Option("--explain", help="Write Grad-CAM maps to FILE.gradcam.png.")] = False,
    as_json: AsJson = False,
    table: Table = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print file and class only; ? if not sure.")] = False,
    request: Annotated[bool, typer.Option("--request", help="Print a request for MLflow's server only.")] = False,
) -> None:
    """Classify the digits in pictures: class, calibrated confidence and runner-up; ? if not sure.

    Uses the networks that ship with shearbench and needs no project. In a project without MNIST it uses the
    project's best model on its first dataset. Exit status 1 if a file cannot be read.

    \b
    Examples:
      shearbench predict seven.png
      shearbench predict ~/class --csv predictions.csv
      shearbench predict worksheet.jpg --many
      shearbench predict photos/*.jpg --model cnn3 --explain
    """
    from shearbench.commands import handwriting as shipped
    from shearbench.commands import predict as own
    from shearbench.handwriting import sheet

    if many and (dataset or model or labels or table or explain or request):
        raise InputError("--many works with --json and --quiet only; remove the other options")
    if request and (model or labels or table or explain or as_json or quiet):
        raise InputError("--request works with --dataset only; remove the other options")
    if request:
        params = read_params()
        dataset = dataset or own.default_dataset(params)
        print(json.dumps(own.request(params, project(), files, dataset=dataset)))
        return
    if dataset is not None or model is not None or _is_of_own_images(many):
        if labels is not None:
            raise InputError("--labels is for the readers, and here a model of the project predicts; remove --labels")
        params = read_params()
        dataset = dataset or own.default_dataset(params)
        result = own.main(params, project(), files, dataset=dataset, model=model, explain=explain)
        if table is not None:
            own.write_table(table, result["images"])
    elif many:
        result = sheet.predict_many(files)
    else:
        result = shipped.predict(files, labels=labels, table=table, explain=explain)
    if as_json:
        print(json.dumps(result, indent=1, allow_nan=False))
    elif many:
        sheet.print_sheets(result, quiet=quiet)
    else:
        own.print_result(result, quiet=quiet)
    if any("unread" in image for image in result["images"]):
        raise typer.Exit(1)


def _is_of_own_images(digits_wanted: object) -> bool:
    """Return True in a project without MNIST, unless sheets of digits are to be read."""
    from shearbench.data.config import Mnist

    if digits_wanted or not Path("params.yaml").is_file():
        return False
    return not any(isinstance(source, Mnist) for source in read_params().sources.images.values())


@command
def handwriting(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pictures named digit-group-member.png.")],
    labels: Labels = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", dir_okay=False, help="Write the results as JSON.")
    ] = None,
    study: Annotated[bool, typer.Option("--study", help="Use the project's networks, at each step.")] = False,
    fine_tune: Annotated[bool, typer.Option("--fine-tune", help="With --study: fine-tune on other groups.")] = False,
    scheduler: Scheduler = None,
) -> None:
    """Classify a class's digits and write a page for the teacher: doubtful digits, groups, copies, unread files.

    Uses the networks that ship with shearbench; with --study the project's networks, at each step of the recipe.

    \b
    Examples:
      shearbench handwriting ~/class
      shearbench handwriting ~/photos --labels labels.csv
      shearbench handwriting data/class_digits --study --json class.json
    """
    from shearbench.commands import handwriting as command
    from shearbench.records import write_json

    # zsh leaves the ~ of `make handwriting DIR=~/class` as it is
    folder, table = folder.expanduser(), labels.expanduser() if labels else None
    if labels and (study or fine_tune):
        raise InputError("--labels is for the readers; --study and --fine-tune take the labels from the names of files")
    if study or fine_tune:
        results = command.study(read_params(scheduler), project(), folder, fine_tune=fine_tune)
    else:
        results = command.predict_class(Path.cwd(), folder, labels=table)
    if json_file is not None:
        write_json(json_file, results)
    if not (study or fine_tune or results["summary"]["read"]):
        raise typer.Exit(1)


@command
def serve(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8000) -> None:
    """Serve a page on 127.0.0.1 that classifies a drawn digit or a dropped picture.

    \b
    Example:
      shearbench serve --port 8001
    """
    from shearbench.commands import serve as serving

    refuse_taken(port)
    serving.main(port)


@command
def readers(
    mnist: Annotated[
        Path, typer.Argument(help="Folder of MNIST's IDX files and QMNIST's label files.", exists=True, file_okay=False)
    ],
    only: Annotated[list[str] | None, typer.Option(help="Train this reader only.")] = None,
) -> None:
    """Train the readers in build/readers and copy them into the package. Takes about 25 minutes on two cores with bf16.

    \b
    Example:
      shearbench readers ~/mnist
    """
    from shearbench.handwriting import reader_training
    from shearbench.handwriting.readers import FOLDER
    from shearbench.training.hardware import resolve

    chosen = only or list(reader_training.READERS)
    if unknown := {*chosen} - {*reader_training.READERS}:
        raise InputError(f"--only must be one of {', '.join(reader_training.READERS)}; got {', '.join(unknown)}")
    out = Path("build") / "readers"
    reader_training.train(mnist, out, workers="auto", hardware=resolve("cpu", "auto"), only=chosen)
    record = reader_training.pack(out, FOLDER, mnist=mnist)
    print(json.dumps(record["accuracy"], indent=1))

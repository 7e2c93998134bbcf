"""Commands before the first run: parameters and data."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Quiet, explained, project, read_params
from shearbench.errors import InputError

app = typer.Typer()
PANEL = "Get ready"


@app.command(rich_help_panel=PANEL)
@explained
def data(
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take what params.yaml says into data/, and record its hash.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Make data/ from the sources in params.yaml, and check it against the hash in data.dvc.

    \b
    Examples:
      shearbench data
      shearbench data --adopt     when sources name another folder
    """
    from shearbench.data import raw

    root = project()
    raw.build(root / "data", read_params().sources, root / "data.dvc", adopt=adopt, report=_silence if quiet else print)


@app.command(rich_help_panel=PANEL)
@explained
def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder: new, or empty.")],
    images: Annotated[
        Path | None, typer.Option(help="A folder of PNG or JPEG files, one sub-folder for each class.")
    ] = None,
    npz: Annotated[Path | None, typer.Option(help="An NPZ file in MedMNIST's layout.")] = None,
    digits: Annotated[bool, typer.Option("--digits", help="MNIST digits of the package; the default.")] = False,
) -> None:
    """Write a project that works at once: parameters sized to the images, pipeline, Makefile, data.

    \b
    Examples:
      shearbench init my-benchmark --images path/to/pictures
      shearbench init my-benchmark --digits
    """
    if sum(each is not None and each is not False for each in (images, npz, digits)) > 1:
        raise InputError("init takes one of --images, --npz and --digits")
    from shearbench.commands import init as beginning

    beginning.main(folder, images=images, npz=npz)
    print(f"{folder} is ready. Next:\n  cd {folder}\n  make repro")


def _silence(_: str) -> None:
    pass


@app.command(rich_help_panel=PANEL)
@explained
def check(quiet: Quiet = False) -> None:
    """Check params.yaml, and that every network in it can be built, before any long work starts.

    \b
    Example:
      shearbench check
    """
    from shearbench.commands import check as checking

    found = checking.main(read_params(), project())
    if not quiet:
        print(f"params.yaml is all right: {found}")


@app.command(rich_help_panel=PANEL)
@explained
def doctor(
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only what is not right.")] = False,
) -> None:
    """Look at the machine, the installation and the project, and say what to do. Exit status 1 if there is a fault.

    \b
    Examples:
      shearbench doctor
      shearbench doctor --json
    """
    from shearbench.commands import doctor as examination

    findings = examination.main(Path.cwd(), read_params)
    if as_json:
        print(json.dumps(examination.as_json(findings), indent=1))
    else:
        examination.print_findings(findings, quiet=quiet)
    if any(finding.status == "fault" for _, finding in findings):
        raise typer.Exit(1)


def _profiles(begun: str) -> list[str]:
    return sorted(path.stem for path in Path("profiles").glob(f"{begun}*.yaml"))


@app.command(rich_help_panel=PANEL)
@explained
def profile(
    name: Annotated[str, typer.Argument(help="A file of profiles/, without .yaml.", autocompletion=_profiles)],
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
        known = ", ".join(_profiles("")) or "none"
        raise InputError(f"profiles/{name}.yaml does not exist; there is: {known}")
    load(source)
    write_bytes(root / "params.yaml", source.read_bytes())
    print(f"params.yaml is now profiles/{name}.yaml; `shearbench data --adopt` if its sources differ")

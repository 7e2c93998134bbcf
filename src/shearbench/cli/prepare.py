"""Commands before the first run: parameters and data."""

import json
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from shearbench.cli.shared import AsJson, Quiet, explained, project, read_params
from shearbench.errors import InputError

app = typer.Typer()
PANEL = "Get ready"


@app.command(rich_help_panel=PANEL)
@explained
def data(
    adopt: Annotated[bool, typer.Option("--adopt", help="Copy the sources into data/ and record their hash.")] = False,
    quiet: Quiet = False,
) -> None:
    """Create data/ from the sources in params.yaml and check it against the hash in data.dvc.

    For simulated datasets it also compiles the simulator: about 10 seconds, once per machine.

    \b
    Examples:
      shearbench data
      shearbench data --adopt     (after a change of sources)
    """
    from shearbench.data import raw
    from shearbench.data.config import SimulatedDataset

    root, params, report = project(), read_params(), _silence if quiet else print
    raw.build(root / "data", params.sources, root / "data.dvc", adopt=adopt, report=report)
    if any(isinstance(entry, SimulatedDataset) for entry in params.datasets.values()):
        from shearbench.mechanics.simulation import compile_kernels

        report("Compile the simulator, unless it was compiled before")
        compile_kernels()


@app.command(rich_help_panel=PANEL)
@explained
def init(
    folder: Annotated[Path, typer.Argument(help="Project folder, new or empty.")],
    images: Annotated[Path | None, typer.Option(help="Folder of PNG or JPEG files, one sub-folder per class.")] = None,
    npz: Annotated[Path | None, typer.Option(help="NPZ file in MedMNIST's layout.")] = None,
    digits: Annotated[bool, typer.Option("--digits", help="Bundled MNIST digits (the default).")] = False,
) -> None:
    """Create a project: parameters sized to the images, pipeline, Makefile, data.

    \b
    Examples:
      shearbench init my-benchmark --images path/to/pictures
      shearbench init my-benchmark --digits
    """
    if sum(each is not None and each is not False for each in (images, npz, digits)) > 1:
        raise InputError("init takes one of --images, --npz and --digits")
    from shearbench.commands import init as beginning

    beginning.main(folder, images=images, npz=npz)
    print(f"{folder} is ready. Next:\n  cd {quote(str(folder))}\n  make repro")


def _silence(_: str) -> None:
    pass


@app.command(rich_help_panel=PANEL)
@explained
def check(quiet: Quiet = False) -> None:
    """Check params.yaml and build every network in it, before any long work starts.

    \b
    Example:
      shearbench check
    """
    from shearbench.commands import check as checking

    found = checking.main(read_params(), project())
    if not quiet:
        print(f"params.yaml is valid: {found}")


@app.command(rich_help_panel=PANEL)
@explained
def doctor(
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.")] = False,
) -> None:
    """Check machine, installation and project, and print a fix for each problem. Exit status 1 if there is a fault.

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
    name: Annotated[str, typer.Argument(help="Name of a file in profiles/, without .yaml.", autocompletion=_profiles)],
) -> None:
    """Replace params.yaml by profiles/NAME.yaml. `git checkout params.yaml` restores it.

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
        raise InputError(f"profiles/{name}.yaml does not exist; available: {known}")
    load(source)
    write_bytes(root / "params.yaml", source.read_bytes())
    print(f"params.yaml is now profiles/{name}.yaml. If its sources differ, run `shearbench data --adopt`")

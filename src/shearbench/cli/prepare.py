"""Commands before the first run: parameters, data and design; simulated and published displacement fields."""

import json
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from shearbench.cli.shared import AsJson, Quiet, commands, names_in, project, read_params
from shearbench.errors import InputError

app, command = commands("Get ready")
simulation, simulated = commands("Mechanics")
mechanics, subcommand = commands("Mechanics", help="Simulated and published displacement fields.", no_args_is_help=True)
simulation.add_typer(mechanics, name="mechanics", rich_help_panel="Mechanics")


@command
def data(
    adopt: Annotated[bool, typer.Option("--adopt", help="Copy the sources into data/ and record their hash.")] = False,
    quiet: Quiet = False,
) -> None:
    """Create data/ from the sources in params.yaml and check it against the hash in data.dvc.

    For simulated datasets it also compiles the simulator, once per machine.

    \b
    Examples:
      shearbench data
      shearbench data --adopt     (after a change of sources)
    """
    from shearbench.data import raw
    from shearbench.data.config import SimulatedDataset

    root, params, report = project(), read_params(), (lambda _: None) if quiet else print
    raw.build(root / "data", params.sources, root / "data.dvc", adopt=adopt, report=report)
    if any(isinstance(entry, SimulatedDataset) for entry in params.datasets.values()):
        from shearbench.mechanics.simulation import compile_kernels

        report("Compile the simulator, unless it was compiled before")
        compile_kernels()


@command
def init(
    folder: Annotated[Path, typer.Argument(help="Project folder, new or empty.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of PNG, JPEG or WEBP files, one sub-folder per class.")
    ] = None,
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


@command
def check(quiet: Quiet = False) -> None:
    """Check params.yaml and claims/, and build every network of params.yaml, before any long work starts.

    \b
    Example:
      shearbench check
    """
    from shearbench.commands.doctor import build_networks
    from shearbench.report.claims import read_claims

    found = build_networks(read_params(), project())
    read_claims(project())
    if not quiet:
        print(f"params.yaml is valid: {found}")


@command
def doctor(
    as_json: AsJson = False, quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print problems only.")] = False
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
        print(json.dumps([{"check": name, **asdict(finding)} for name, finding in findings], indent=1))
    else:
        examination.print_findings(findings, quiet=quiet)
    if any(finding.status == "fault" for _, finding in findings):
        raise typer.Exit(1)


def _profiles(begun: str) -> list[str]:
    return sorted(path.stem for path in Path("profiles").glob(f"{begun}*.yaml"))


@command
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


@command
def design(
    pilot: Annotated[
        list[str] | None,
        typer.Argument(help="Two runs with finished folds, as a pilot.", autocompletion=names_in("runs")),
    ] = None,
    sd: Annotated[float | None, typer.Option(help="In place of a pilot: SD of fold differences, a fraction.")] = None,
    difference: Annotated[float | None, typer.Option(help="Difference to detect, a fraction.")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="Default: cv.folds.")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Default: cv.repeats.")] = None,
    sets: Annotated[int | None, typer.Option(min=2, help="Disjoint sets, in place of folds and repeats.")] = None,
    comparisons: Annotated[int | None, typer.Option(min=1, help="Pairs in a family; default: of a dataset.")] = None,
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

    planning.main(
        read_params(),
        project(),
        runs=pilot or [],
        sd=sd,
        difference=difference,
        folds=folds,
        repeats=repeats,
        sets=sets,
        comparisons=comparisons,
        as_json=as_json,
    )


@simulated
def simulate(
    source: Annotated[Path, typer.Argument(help="IDX file (gzipped or not) or .npy, uint8 (n, height, width).")],
    output: Annotated[Path, typer.Argument(help=".npz file to write; its facts go to a .json file beside it.")],
    load: Annotated[str, typer.Option(help="uniaxial, shear, equibiaxial or confined.")] = "shear",
    steps: Annotated[str, typer.Option(help="Published steps of the load, such as 5 or 3,5,10.")] = "5",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")] = None,
    elements: Annotated[str, typer.Option(help="Elements per pixel in x and in y, 1 to 4 each.")] = "1x1",
    keep_failed: Annotated[bool, typer.Option("--keep-failed", help="Record unsolved digits; do not stop.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate digits: displacement, strain energy and reaction. After a stop, the same command continues.

    \b
    Examples:
      shearbench simulate digits.npy build/shear.npz
      shearbench simulate digits.npy build/uniaxial.npz --load uniaxial --steps 5,8 --json
      shearbench simulate digits.npy build/finer.npz --elements 2x1
    """
    from shearbench.data.mechanical import simulate_file

    numbers = [int(step) for step in steps.split(",") if step.strip().isdecimal()]
    if len(numbers) != len(steps.split(",")):
        raise InputError(f"--steps must be whole numbers with commas between, as in 3,5,10; got {steps!r}")
    across, by, up = elements.partition("x")
    if not (by and across.isdecimal() and up.isdecimal()):
        raise InputError(f"--elements must be two whole numbers from 1 to 4, as in 2x1; got {elements!r}")
    facts = simulate_file(
        source,
        output,
        load=load,
        steps=numbers,
        workers=workers or "auto",
        keep_failed=keep_failed,
        elements=(int(across), int(up)),
    )
    if as_json:
        print(json.dumps(facts, indent=1))
    elif not quiet:
        print(f"{output}: {facts['samples']} digits, {facts['failed']} failed, SHA-256 {facts['sha256']}")


@subcommand
def compare(
    fields: Annotated[Path, typer.Argument(help=".npz file of `shearbench simulate` or of the pipeline.")],
    archive: Annotated[Path, typer.Argument(help="Published FEA_displacement_results_step<k>.zip.")],
    bitmaps: Annotated[Path, typer.Argument(help="IDX or .npy file of the digits, in the order of both.")],
    step: Annotated[int, typer.Option(help="Step k of the archive.")] = 5,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    output: Annotated[Path, typer.Option(help="Folder for the differences and the picture.")] = Path("build/published"),
    as_json: AsJson = False,
) -> None:
    """Compare simulated with published fields: relative L2 difference of each digit, and a figure of the worst.

    \b
    Example:
      shearbench mechanics compare build/shear.npz FEA_displacement_results_step5.zip digits.npy
    """
    from shearbench.data.field_comparison import compare_files

    if split not in ("train", "test"):
        raise InputError(f"--split must be train or test; got {split!r}")
    for path in (fields, archive, bitmaps):
        if not path.is_file():
            raise InputError(f"{path} is not a file; `shearbench mechanics compare --help` explains the arguments")
    part: Literal["train", "test"] = "train" if split == "train" else "test"
    facts = compare_files(fields, archive, output, bitmaps=bitmaps, step=step, split=part)
    if as_json:
        print(json.dumps(facts, indent=1))
        return
    median, most, maximum = (facts["relative_l2"][name] for name in ("median", "quantile_95", "maximum"))
    print(
        f"{facts['samples']} digits: median {median:.2e}, 95 % {most:.2e}, maximum {maximum:.2e} (relative L2). "
        f"Differences and figure: {output}"
    )

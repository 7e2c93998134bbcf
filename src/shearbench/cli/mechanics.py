"""Commands for displacement fields: simulation, comparison with published fields."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from shearbench.cli.shared import AsJson, Quiet, commands
from shearbench.errors import InputError

app, command = commands("Mechanics")
mechanics, subcommand = commands("Mechanics", help="Simulated and published displacement fields.", no_args_is_help=True)
app.add_typer(mechanics, name="mechanics", rich_help_panel="Mechanics")


@command
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

"""The command ``shearbench``. Each command reads ``params.yaml`` in the present folder and calls one function.

Heavy modules are imported inside the commands, so that ``--help`` answers at once. A user's mistake ends in one
message and exit status 2, work that failed in status 1, Ctrl-C in 130; only our own faults show a traceback.
"""

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, ParamSpec

import typer
from rich.console import Console

from shearbench.errors import InputError, TasksFailed

if TYPE_CHECKING:
    from shearbench.params import Params

P = ParamSpec("P")

app = typer.Typer(
    help="Compare image classifiers on digits, sheared digits and strangers' digits, tracked and cross-validated.",
    epilog="Start with `make repro`; the README explains what it does.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

mechanics = typer.Typer(help="Simulated and published displacement fields.", no_args_is_help=True)
app.add_typer(mechanics, name="mechanics", rich_help_panel="Mechanics")

PIPELINE = "Pipeline"
MECHANICS = "Mechanics"
RESULTS = "Results"
STAGE_HELP = "prepare, simulate, datasets, explore, train, evaluate, compare or report."
CELL_HELP = "A cell of params.yaml for train and evaluate, a dataset for explore; none for the others."


def _explained(command: Callable[P, None]) -> Callable[P, None]:
    """Turn the failures that a user can mend into a message and an exit status."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            _stop(str(error), 2)
        except TasksFailed as error:
            _stop(str(error), 1)
        except OSError as error:
            _stop(_describe(error), 1)
        except KeyboardInterrupt:
            _stop("stopped; what is finished is kept, and the same command goes on from there", 130)

    return run


def _stop(message: str, status: int) -> None:
    Console(stderr=True).print("[bold red]shearbench:[/]", end=" ")
    print(message, file=sys.stderr)
    raise typer.Exit(status)


def _describe(error: OSError) -> str:
    """Return what the operating system refused, and what to do about it."""
    steps = {
        errno.ENOSPC: "free some space and run the same command again",
        errno.EROFS: "the disk is read-only; run in a folder that can be written",
        errno.EACCES: "check the owner and the permissions of that path",
    }
    step = steps.get(error.errno or 0, "check that path, then run the same command again")
    where = f" {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{where}: {step}. Nothing that was finished is lost."


def _root() -> Path:
    return Path.cwd()


def _params() -> "Params":
    from shearbench.params import load

    return load(_root() / "params.yaml")


@app.command(rich_help_panel=PIPELINE)
@_explained
def data(
    adopt: Annotated[bool, typer.Option(help="Take what params.yaml says into data/, and record its hash.")] = False,
) -> None:
    """Make data/ from the sources in params.yaml, and check it against the hash in data.dvc.

    Examples: shearbench data; after pointing sources.mnist to another folder: shearbench data --adopt
    """
    from shearbench.data import raw

    root = _root()
    raw.build(root / "data", _params().sources, root / "data.dvc", adopt=adopt, report=print)


@app.command(rich_help_panel=PIPELINE)
@_explained
def check() -> None:
    """Check params.yaml, and that every network in it can be built, before any long work starts."""
    from shearbench.models import build

    params = _params()
    for cell in params.cells.values():
        model, dataset = params.models[cell.model], params.datasets[cell.dataset]
        build(model.architecture, channels=dataset.channels, width=model.width, options=model.options, seed=0)
    counts = f"{len(params.datasets)} datasets, {len(params.models)} models, {len(params.cells)} cells"
    print(f"params.yaml is all right: {counts}")


@app.command(rich_help_panel=PIPELINE)
@_explained
def stage(
    name: Annotated[str, typer.Argument(help=STAGE_HELP)],
    of: Annotated[str | None, typer.Argument(metavar="[CELL]", help=CELL_HELP)] = None,
) -> None:
    """Run one stage of dvc.yaml as `dvc repro` does, whatever its state.

    Examples: shearbench stage prepare; shearbench stage train mnist-cnn3
    """
    from shearbench import stages

    stages.run(name, of, params=_params(), root=_root())


@app.command(rich_help_panel=PIPELINE)
@_explained
def profile(
    name: Annotated[str, typer.Argument(help="A file of profiles/, without .yaml.")],
) -> None:
    """Replace params.yaml by profiles/NAME.yaml. `git checkout params.yaml` brings it back.

    Example: shearbench profile full
    """
    from shearbench.params import load
    from shearbench.records import write_bytes

    root = _root()
    source = root / "profiles" / f"{name}.yaml"
    if not source.is_file():
        known = ", ".join(sorted(path.stem for path in (root / "profiles").glob("*.yaml"))) or "none"
        raise InputError(f"profiles/{name}.yaml does not exist; there is: {known}")
    load(source)
    write_bytes(root / "params.yaml", source.read_bytes())
    print(f"params.yaml is now profiles/{name}.yaml; `shearbench data --adopt` if its sources differ")


@app.command(rich_help_panel=PIPELINE)
@_explained
def tune(
    model: Annotated[str, typer.Argument(help="A model of params.yaml.")],
    dataset: Annotated[str | None, typer.Option(help="A dataset of params.yaml; default: tuning.dataset.")] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all; default: tuning.trials.")] = None,
    timeout: Annotated[int | None, typer.Option(min=1, help="Seconds; default: tuning.timeout.")] = None,
) -> None:
    """Search learning rate, batch size and width of a model; Ctrl-C stops, the same command goes on.

    Example: shearbench tune resnet18 --trials 40
    """
    from shearbench.stages import tune as tuning

    tuning.main(_params(), _root(), model, dataset=dataset, trials=trials, timeout=timeout)


@app.command(rich_help_panel=RESULTS)
@_explained
def verify(
    sample: Annotated[int, typer.Option(min=1, help="How many folds to train again, picked at random.")] = 2,
) -> None:
    """Check the hash of every stored file, train some folds again, and say whether they come out the same.

    Example: shearbench verify --sample 5
    """
    from shearbench.stages import verify as verification

    if not verification.main(_params(), _root(), sample=sample):
        raise typer.Exit(1)


@app.command(rich_help_panel=MECHANICS)
@_explained
def simulate(
    source: Annotated[Path, typer.Argument(help="IDX file of images (gzipped or not), or .npy, uint8 (n, 28, 28).")],
    output: Annotated[Path, typer.Argument(help="The .npz file to write; facts go to .json beside it.")],
    load: Annotated[str, typer.Option(help="uniaxial, shear, equibiaxial or confined.")] = "shear",
    steps: Annotated[str, typer.Option(help="Published steps of the load, as in 5 or 3,5,10.")] = "5",
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    keep_failed: Annotated[bool, typer.Option(help="Record a digit that cannot be solved, do not stop.")] = False,
) -> None:
    """Simulate any digits: displacement, strain energy and reaction. Stopped, the same command goes on.

    Example: shearbench simulate data/mnist/t10k-images-idx3-ubyte build/uniaxial.npz --load uniaxial --steps 5,8
    """
    from shearbench.data.mechanical import simulate_file

    numbers = [int(step) for step in steps.split(",") if step.strip().isdecimal()]
    if len(numbers) != len(steps.split(",")):
        raise InputError(f"--steps must be whole numbers with commas between, as in 3,5,10; got {steps!r}")
    failures: Literal["record", "raise"] = "record" if keep_failed else "raise"
    facts = simulate_file(source, output, load=load, steps=numbers, workers=workers or "auto", failures=failures)
    print(f"{output}: {facts['samples']} digits, {facts['failed']} failed, SHA-256 {facts['sha256']}")


@mechanics.command("compare")
@_explained
def compare_fields(
    fields: Annotated[Path, typer.Argument(help=".npz file that `shearbench simulate` or the pipeline wrote.")],
    archive: Annotated[Path, typer.Argument(help="Published FEA_displacement_results_step<k>.zip.")],
    bitmaps: Annotated[Path, typer.Argument(help="IDX or .npy file of the digits, in the order of both.")],
    step: Annotated[int, typer.Option(help="The k of the archive.")] = 5,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    output: Annotated[Path, typer.Option(help="Folder for the differences and the picture.")] = Path("build/published"),
) -> None:
    """Compare simulated fields with the published ones: relative L2 of each digit, the worst pictured.

    Example: shearbench mechanics compare build/shear.npz FEA_displacement_results_step5.zip t10k-images-idx3-ubyte
    """
    from shearbench.data.field_comparison import compare_files

    if split not in ("train", "test"):
        raise InputError(f"--split must be train or test; got {split!r}")
    part: Literal["train", "test"] = "train" if split == "train" else "test"
    facts = compare_files(fields, archive, output, bitmaps=bitmaps, step=step, split=part)
    print(
        f"{facts['samples']} digits: median {facts['median']:.2e}, 95 % {facts['quantile_95']:.2e}, "
        f"most {facts['maximum']:.2e} (relative L2). Differences and picture: {output}"
    )


@app.command(rich_help_panel=RESULTS)
@_explained
def results() -> None:
    """Print the comparison table, the path of the report, and how to open MLflow."""
    from shearbench.stages import compare

    root = _root()
    compare.print_tables(root)
    print(f"Report:  {root / 'reports' / 'index.html'}\nMLflow:  make ui")


@app.command(rich_help_panel=RESULTS)
@_explained
def track() -> None:
    """Send MLflow the records that it does not have yet."""
    from shearbench import tracking

    params = _params()
    if params.tracking.uri == tracking.OFF:
        print("tracking.uri is off in params.yaml: nothing is sent")
    elif tracking.track_all(_root(), params):
        print("MLflow has every record")
    else:
        raise typer.Exit(1)


@app.command(rich_help_panel=RESULTS)
@_explained
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Open MLflow's pages on 127.0.0.1, for this machine only."""
    from shearbench import tracking

    command = tracking.ui_command(_root(), port)
    print(f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvp(command[0], command)


if __name__ == "__main__":
    app()

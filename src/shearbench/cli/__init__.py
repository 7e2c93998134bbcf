"""The command ``shearbench``. Each command reads ``params.yaml`` in the current folder and calls one function.

Commands import heavy modules inside their functions, so that ``--help`` is fast. Exit statuses: 2 for bad input, 1 for
failed work, 130 for Ctrl-C. Only errors in shearbench itself show a traceback.

A group is an app with the commands of one purpose. ``GROUPS`` orders them in the help.

Only ``params.yaml`` decides where MLflow, Optuna and dask store data and how torch computes. An environment variable
that would change this is removed, and named once.
"""

import os
import platform
import sys
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from shearbench.cli import predict, prepare, run
from shearbench.cli.shared import explained
from shearbench.code import NETWORKS

GROUPS = (prepare.app, run.app, run.shown, predict.app, prepare.simulation)

_FAMILIES = ("MLFLOW_", "OPTUNA_", "TORCH_", "PYTORCH_", "TORCHDYNAMO_", "TORCHINDUCTOR_")
_HARMLESS = (
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),  # logins, not places
    *("MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH", "MLFLOW_TRACKING_CLIENT_CERT_PATH"),
    *("MLFLOW_S3_ENDPOINT_URL", "MLFLOW_S3_IGNORE_TLS", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
    *("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"),
    *("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "PYTORCH_NVML_BASED_CUDA_CHECK"),
    *("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF"),  # memory management; it affects no number
    "TORCHINDUCTOR_CACHE_DIR",  # cache of compiled code, as for numba; torch sets it itself too
)
_OF_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
_OF_PRECISION = ("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "NVIDIA_TF32_OVERRIDE")
"""Variables that lower the precision of fp32: bf16 in convolutions on the CPU, TF32 on a GPU."""
_OTHERS = ("DASK_SCHEDULER_ADDRESS", "DASK_TEMPORARY_DIRECTORY", *_OF_GIT)  # dask's certificates are in other variables

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `make repro`; the README explains it. `shearbench COMMAND --help` shows examples.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for group in GROUPS:
    app.add_typer(group)


def _print_version(wanted: bool) -> None:
    """Print the versions of the libraries that affect results, and exit."""
    if wanted:
        named = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "mlflow", "dvc", "optuna"))
        typer.echo(f"shearbench {version('shearbench')} (Python {platform.python_version()}, {named})")
        raise typer.Exit


@app.callback()
@explained
def begin(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the versions and exit.")
    ] = False,
    directory: Annotated[
        Path | None, typer.Option("-C", metavar="DIR", exists=True, file_okay=False, help="Run in DIR, as with git.")
    ] = None,
) -> None:
    """Compare image classifiers with tracked, cross-validated benchmarks."""
    report(settle())
    if directory is not None:
        os.chdir(directory)
    folder = str(Path.cwd() / NETWORKS)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that no module there hides a library's module


def settle() -> list[str]:
    """Make this process and its children independent of the shell; return the removed variables."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # LANG=C cannot show some characters
    if os.environ.pop("PYTHONWARNINGS", None):
        warnings.resetwarnings()  # with "error", a warning would end the import of a library
        warnings.simplefilter("default", DeprecationWarning)
    _let_numba_cache()
    found = [name for name in os.environ if name.startswith(_FAMILIES) and name not in _HARMLESS]
    found += [name for name in (*_OTHERS, *_OF_PRECISION) if name in os.environ]
    for name in found:
        del os.environ[name]
    return sorted(found)


def report(found: list[str]) -> None:
    """Print the removed variables, once for all processes of a command."""
    if found:
        names = ", ".join(found)
        print(f"shearbench: ignoring the environment variables {names}: only params.yaml decides", file=sys.stderr)


def _let_numba_cache() -> None:
    """Give numba a cache folder if neither the package nor the home folder is writable."""
    package = Path(__file__).parents[1] / "mechanics"
    if "NUMBA_CACHE_DIR" in os.environ or os.access(package, os.W_OK):
        return
    home = Path(os.path.expanduser("~"))
    if not os.access(home, os.W_OK):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="shearbench-numba-")

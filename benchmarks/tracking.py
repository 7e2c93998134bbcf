"""What MLflow costs beside training: CPU seconds of both for each network on MNIST, with the settings of params.yaml.

    python benchmarks/tracking.py [--mnist FOLDER] [--models mlp cnn2]

Each network is cross-validated into a folder that is thrown away, then sent to a new store by a process of its own, as
the stage `train` does behind the next stage's back: its runs with parameters, curves and files. One more process then
exports the networks of all cells, as behind the stage `compare`; its seconds are shared out evenly. CPU seconds of all
processes, so that other work on the machine does not count. The store, made once a project, stands in the first line.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shearbench.params import Params, load
from shearbench.pipeline.configs import config_of
from shearbench.records import provenance
from shearbench.tracking.mirror import track_all
from shearbench.training.crossval import cross_validate
from training import RECIPES, write_data

REPOSITORY = Path(__file__).parents[1]


def train(params: Params, model: str, root: Path) -> None:
    """Cross-validate a network into ``root``, laid out as a project."""
    build = root / "build"
    cross_validate(
        config_of(params, dataset="mnist", model=model),
        dataset=build / "datasets" / "mnist",
        out=build / "runs" / "mnist" / model,
        workers="auto",
    )


def send(root: Path, all_runs: list[str] | None) -> float:
    """Send cells, or with None their networks, in a new process to the store of ``root``; return its CPU seconds."""
    before = cpu_seconds()
    subprocess.run(
        [sys.executable, __file__, "--send", str(root), *(["all"] if all_runs is None else all_runs)], check=True
    )
    return cpu_seconds() - before


def train_and_send(params: Params, model: str, root: Path) -> tuple[float, float]:
    """Return the CPU seconds of training a network and of sending its runs."""
    start = cpu_seconds()
    train(params, model, root)
    return cpu_seconds() - start, send(root, [f"mnist-{model}"])


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST; without it the bundled digits")
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    asked = parser.parse_args()
    params, made_by = load(REPOSITORY / "params.yaml"), provenance()
    console = Console(width=120)
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    table = Table("model", "epochs", "training, CPU s", "runs, CPU s", "networks, CPU s", "share")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        root = Path(folder)
        build = root / "build"
        dataset = write_data(asked.mnist, None, build / "datasets")
        console.print(f"{len(dataset.labels)} digits; making the store: {send(root, []):.1f} CPU seconds")
        spent = {model: train_and_send(params, model, root) for model in asked.models}
        networks = send(root, None) / len(spent)
        for model, (training, runs) in spent.items():
            share, epochs = (runs + networks) / training, str(params.models[model].recipe.epochs)
            table.add_row(model, epochs, *(f"{each:.1f}" for each in (training, runs, networks)), f"{share:.1%}")
    console.print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        all_runs = None if sys.argv[3:] == ["all"] else sys.argv[3:]
        track_all(Path(sys.argv[2]), load(REPOSITORY / "params.yaml"), all_runs=all_runs)
    else:
        main()

"""Where a step of training goes: the share of each kind of work, for each network, on one core.

    python benchmarks/training_profile.py [--mnist FOLDER] [--models mlp cnn2] [--digits 2000]

An epoch of `train`'s loop under torch's profiler, the second one, in the precision that `auto` chooses. ``floor`` is
what a step would take if all but products and convolutions cost nothing.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from shearbench.data.dataset import Dataset
from shearbench.records import provenance
from shearbench.training.config import Selection, assemble
from shearbench.training.hardware import settle
from shearbench.training.loop import run_epoch, step_of
from training import RECIPES, ablation_for, write_data

KINDS = {  # the first that a name contains
    "products": ("mm", "convolution"),
    "pooling, ReLU, norm": ("pool2d", "threshold", "clamp_min", "relu", "batch_norm", "mean"),
    "casts and copies": ("copy_", "_to_copy", "empty", "fill_", "zero"),
    "Adam": ("adam", "_foreach"),
    "dropout": ("Drop", "random_", "ge_", "bernoulli"),
    "batch and augmentation": ("index", "gather", "sub", "div", "pad", "round", "clamp", "uniform", "cat", "bmm"),
}


def shares(model: str, dataset: Dataset) -> tuple[float, dict[str, float]]:
    """Return the milliseconds of a step and the share of each kind of work in the time of the operators."""
    config = ablation_for(model, epochs=1, precision="auto")
    settle(config.hardware)
    training_state = assemble(config, dataset, Selection(np.arange(len(dataset.labels)), np.arange(0)), seed=1)
    step = step_of(training_state.network, training_state.optimiser, training_state.fit_config)
    arguments = (training_state.network, step, training_state.splits.train, training_state.fit_config)
    run_epoch(*arguments, 1)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        run_epoch(*arguments, 2)
    spent = dict.fromkeys([*KINDS, "other"], 0.0)
    for event in profiled.key_averages():
        spent[_kind(event.key)] += event.self_cpu_time_total
    total = sum(spent.values())
    steps = -(-len(dataset.labels) // config.recipe.batch)
    return total / steps / 1e3, {kind: each / total for kind, each in spent.items()}


def _kind(operator: str) -> str:
    name = operator.removeprefix("aten::")
    return next((kind for kind, splits in KINDS.items() if any(part in name for part in splits)), "other")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST; without it the bundled digits")
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--digits", type=int, default=2000)
    asked = parser.parse_args()
    made_by = provenance()
    console = Console(width=160)
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    table = Table("model", "ms a step", *KINDS, "other", "floor")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        dataset = write_data(asked.mnist, asked.digits, Path(folder))
        for model in asked.models:
            milliseconds, splits = shares(model, dataset)
            floor = f"{milliseconds * splits['products']:.2f} ms"
            table.add_row(model, f"{milliseconds:.2f}", *(f"{part:.0%}" for part in splits.values()), floor)
    console.print(table)


if __name__ == "__main__":
    main()

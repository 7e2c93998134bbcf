"""What a recorded step gains on a GPU: milliseconds a step, launched kernel by kernel and replayed as a CUDA graph.

    python benchmarks/gpu.py --mnist FOLDER [--models mlp resnet18] [--digits 12000]

Training alone in one process, in bf16, both ways one after the other on the same network: the fastest of some epochs
after two that are not counted, in which libraries choose kernels and the step is recorded.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from shearbench.data.folds import read_folds
from shearbench.records import provenance
from shearbench.training.config import TrainingState, assemble, select
from shearbench.training.hardware import resolve, settle
from shearbench.training.loop import run_epoch, step_of, train_step
from shearbench.training.optimiser import Step
from training import RECIPES, ablation_for, write_data

console = Console(width=140)


def seconds_of_an_epoch(step: Step, training_state: TrainingState, *, epochs: int) -> float:
    """Return what the fastest of some epochs takes."""
    seconds = []
    for number in range(1, epochs + 3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run_epoch(training_state.network, step, training_state.splits.train, training_state.fit_config, number)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST; without it the bundled digits")
    parser.add_argument("--digits", type=int, help="use the first so many training digits", default=12_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    asked = parser.parse_args()
    settle(resolve("cuda", "bf16"))
    made_by = provenance()
    console.print(torch.cuda.get_device_name(), made_by["machine"], made_by["versions"])
    table = Table("model", "kernel by kernel, ms a step", "replayed, ms a step", "digits/s", "times as fast")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        data = Path(folder)
        dataset = write_data(asked.mnist, asked.digits, data)
        for model in asked.models:
            config = ablation_for(model, epochs=1, precision="bf16")
            rows = select(read_folds(data / "mnist" / "folds.npz"), dataset.labels, fold=0, config=config)
            training_state = assemble(config, dataset, rows, seed=1)
            network, optimiser, fit_config = training_state.network, training_state.optimiser, training_state.fit_config
            plain = partial(train_step, network, optimiser, fit_config.hardware)
            slow, fast = (
                seconds_of_an_epoch(step, training_state, epochs=asked.epochs)
                for step in (plain, step_of(network, optimiser, fit_config))
            )
            steps = -(-len(rows.train) // config.recipe.batch)
            times = [f"{1e3 * seconds / steps:.3f}" for seconds in (slow, fast)]
            table.add_row(model, *times, f"{len(rows.train) / fast:,.0f}", f"{slow / fast:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()

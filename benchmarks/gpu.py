"""What a GPU makes of the training engine, by how many folds share it, and of the usual way.

    python benchmarks/gpu.py --mnist FOLDER [--models mlp resnet18] [--at-once 1 4 8] [--usual]

*Ours*: so many folds at once, each in a process of its own as ``train`` runs them, with the validation after each
epoch; digits a second of all of them together in the epochs after the first, which loads CUDA's kernels. *Usual*: PIL
images through torchvision's transforms and a ``DataLoader`` with pinned memory, the fastest of some numbers of its
workers, fp32, each batch sent to the GPU; its fastest epoch. Memory is what the GPU has given away, over the processes.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader

from shearbench.data.dataset import Dataset, load
from shearbench.data.folds import read_folds
from shearbench.execution import Advance, run_tasks
from shearbench.models import build
from shearbench.records import provenance
from shearbench.training.crossval import FoldTask, fold_task
from shearbench.training.experiment import assemble, select
from shearbench.training.hardware import settle
from shearbench.training.loop import fit
from training import RECIPES, Digits, experiment_for, with_torchs_layers, write_data

LOADERS = (2, 4, 8, 15)
console = Console(width=140)


@dataclass(frozen=True)
class Fold:
    """Seconds of each epoch, and bytes of the GPU that were taken when the last one ended, by all processes."""

    seconds: list[float]
    taken: int


def fold_on_gpu(task: FoldTask, advance: Advance) -> Fold:
    """Train a fold without its record."""
    settle(task.experiment.hardware)
    dataset, table = load(task.dataset, "train"), read_folds(task.folds)
    rows = select(table, dataset.labels, fold=task.fold, experiment=task.experiment)
    trainee = assemble(task.experiment, dataset, rows, seed=1)
    marks = [time.perf_counter()]
    fit(
        trainee.network,
        trainee.optimiser,
        trainee.parts,
        trainee.setting,
        on_epoch_end=lambda _: marks.append(time.perf_counter()),
    )
    free, total = torch.cuda.mem_get_info()
    advance(1)
    return Fold([end - start for start, end in pairwise(marks)], total - free)


def ours(model: str, data: Path, *, at_once: int, epochs: int, precision: str) -> tuple[float, float]:
    """Return digits a second of folds that are trained at once, together, and gigabytes of the GPU for each."""
    experiment = experiment_for(model, epochs=epochs, precision=precision)
    task = fold_task(experiment, 0, dataset=data / "mnist", folds=data / "folds.npz", out=data)
    folds = run_tasks(fold_on_gpu, [task] * at_once, workers=at_once, label=f"{model}, {at_once} at once")
    table = read_folds(data / "folds.npz")
    size = len(table.split(0)[0])
    rate = sum(size * (epochs - 1) / sum(fold.seconds[1:]) for fold in folds)
    return rate, max(fold.taken for fold in folds) / at_once / 1e9


def usual(model: str, dataset: Dataset, *, workers: int) -> float:
    """Return digits a second in the faster of two epochs."""
    recipe = RECIPES[model]
    digits = Digits(dataset.inputs[:, 0], dataset.labels, augment=recipe.augment != "none")
    network = with_torchs_layers(build(model, channels=1, width=1.0, options={}, seed=1)).cuda()
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    loader = DataLoader(
        digits, batch_size=recipe.batch, shuffle=True, num_workers=workers, pin_memory=True, persistent_workers=True
    )
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        network.train()
        for inputs, labels in loader:
            optimiser.zero_grad()
            logits = network(inputs.to("cuda", non_blocking=True))
            loss = nn.functional.cross_entropy(logits, labels.to("cuda", non_blocking=True))
            loss.backward()
            optimiser.step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return len(digits) / min(seconds)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST; without it the bundled digits")
    parser.add_argument("--digits", type=int, help="use the first so many training digits")
    parser.add_argument("--epochs", type=int, default=3, help="the first is not counted")
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--at-once", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "fp32"), default=["bf16"])
    parser.add_argument("--usual", action="store_true", help="time the usual way too")
    asked = parser.parse_args()
    made_by = provenance()
    console.print(torch.cuda.get_device_name(), made_by["machine"], made_by["versions"])
    table = Table("model", "precision", *(f"{count} at once /s" for count in asked.at_once), "GB each", "usual /s")
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        dataset = write_data(asked.mnist, asked.digits, Path(folder))
        for model in asked.models:
            theirs = {n: usual(model, dataset, workers=n) for n in LOADERS} if asked.usual else {0: float("nan")}
            best = max(theirs, key=lambda workers: theirs[workers])
            for precision in asked.precisions:
                found = [
                    ours(model, Path(folder), at_once=count, epochs=asked.epochs, precision=precision)
                    for count in asked.at_once
                ]
                rates = [f"{rate:,.0f}" for rate, _ in found]
                shown = f"{theirs[best]:,.0f} ({best} loaders)" if asked.usual else ""
                table.add_row(model, precision, *rates, f"{found[-1][1]:.2f}", shown)
    console.print(table)


if __name__ == "__main__":
    main()

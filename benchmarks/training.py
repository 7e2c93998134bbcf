"""How fast the training engine is, against the usual way, on the same digits, networks, batch sizes and cores.

    python benchmarks/training.py --mnist FOLDER        # the IDX files of MNIST; without it the 5,000 bundled digits

*Usual*: torchvision's transforms on PIL images, a ``Dataset``, a ``DataLoader`` with the number of workers that proves
fastest, fp32, torch's own layers, a plain loop with as many threads as cores; the time of its fastest epoch, training
alone. *Ours*: what the stage ``train`` runs, folds over the cores, from the start of the processes to the last record,
with validation, history and predictions. ``epochs alone`` leaves out what comes before and after the epochs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torch.utils.flop_counter import FlopCounterMode

from shearbench.data.config import BundledMnist, ImageDataset, MnistFolder
from shearbench.data.dataset import Dataset, load, write_dataset
from shearbench.data.folds import FoldTable, make_folds, read_folds, write_folds
from shearbench.data.mnist import collect
from shearbench.execution import Advance, run_tasks, worker_count
from shearbench.models import build
from shearbench.models.layers import Conv3x3, Dropout
from shearbench.records import provenance
from shearbench.torchvision_ops import torchvision
from shearbench.training.crossval import FoldTask, cross_validate, fold_task
from shearbench.training.experiment import Experiment, assemble, select
from shearbench.training.hardware import resolve
from shearbench.training.recipe import Recipe

FOLDS = 5
RECIPES = {  # as params.yaml has them, with the augmentation of the study of the MLP
    "mlp": Recipe(epochs=1, batch=128, learning_rate=1e-3, weight_decay=1e-5, augment="affine"),
    "cnn2": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
    "cnn3": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
    "resnet18": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
}
TARGETS = {"mlp": 10.0, "cnn2": 2.5, "cnn3": 2.2, "resnet18": 1.5}
console = Console(width=140)


class Digits(TorchDataset[tuple[torch.Tensor, int]]):
    """Digits as PIL images through torchvision's transforms, one by one."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, augment: bool) -> None:
        transforms = torchvision.transforms
        moves = [transforms.RandomAffine(degrees=5, translate=(0.1, 0.1), scale=(0.8, 1.2), shear=5)]
        self.transform = transforms.Compose([*(moves if augment else []), transforms.ToTensor()])
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def usual_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, loader: DataLoader[object]) -> float:
    """Train one epoch in the usual way and return its seconds."""
    start = time.perf_counter()
    network.train()
    loss_sum = 0.0
    for inputs, labels in loader:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(labels)
    return time.perf_counter() - start


def usual_rate(model: str, dataset: Dataset, *, epochs: int) -> tuple[float, int]:
    """Return samples a second of the usual way, and the number of loader workers that it ran with.

    The number is the fastest on a tenth of the digits.
    """
    cores = worker_count("auto")
    torch.set_num_threads(cores)
    share = range(len(dataset.labels) // 10)
    tries = {workers: usual_run(model, dataset, share, workers=workers, epochs=1) for workers in range(cores + 1)}
    best = max(tries, key=lambda workers: tries[workers])
    return usual_run(model, dataset, range(len(dataset.labels)), workers=best, epochs=epochs), best


def usual_run(model: str, dataset: Dataset, rows: range, *, workers: int, epochs: int) -> float:
    """Return samples a second of the fastest epoch of a training in the usual way on some digits."""
    recipe = RECIPES[model]
    digits = Digits(dataset.inputs[rows, 0], dataset.labels[rows], augment=recipe.augment != "none")
    network = with_torchs_layers(build(model, channels=1, width=1.0, options={}, seed=1))
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    loader = DataLoader(digits, batch_size=recipe.batch, shuffle=True, num_workers=workers)
    return len(rows) / min(usual_epoch(network, optimiser, loader) for _ in range(epochs))


def with_torchs_layers(network: nn.Module) -> nn.Module:
    """Return a network with torch's dropout and convolutions in place of our own, which compute the same faster."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
            elif isinstance(child, Conv3x3):
                shape = {"stride": child.stride, "padding": 1, "bias": False}
                setattr(module, name, nn.Conv2d(child.in_channels, child.out_channels, 3, **shape))
    return network


@dataclass(frozen=True)
class Ours:
    """Samples a second over the whole run and over its epochs alone, and the held-out accuracy of each fold."""

    rate: float
    rate_of_epochs: float


def experiment_for(model: str, *, epochs: int, precision: str) -> Experiment:
    """Return the experiment of a model; ``precision`` as in params.yaml."""
    hardware = resolve("auto", precision)  # type: ignore[arg-type]
    return Experiment(
        dataset="mnist",
        model=model,
        seed=42,
        architecture=model,
        width=1.0,
        options={},
        recipe=RECIPES[model].model_copy(update={"epochs": epochs}),
        entry=ImageDataset(source="mnist", channels=1, normalise="unit"),
        inner_fraction=0.15,
        device=hardware.device,
        precision=hardware.precision,
    )


def run_ours(experiment: Experiment, data: Path) -> Ours:
    """Cross-validate as the stage ``train`` does, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as out:
        start = time.perf_counter()
        records = cross_validate(
            experiment, dataset=data / "mnist", folds=data / "folds.npz", out=Path(out), workers="auto"
        )
        seconds = time.perf_counter() - start
    samples = sum(record["sizes"]["train"] * record["epochs"] for record in records)
    busy = sum(record["seconds"] for record in records) / worker_count("auto")
    return Ours(samples / seconds, samples / busy)


def time_to_first_step(task: tuple[FoldTask, float], advance: Advance) -> float:
    """Return the seconds from the asking of a process to the moment its fold could take its first step."""
    fold, asked = task
    dataset, table = load(fold.dataset, "train"), read_folds(fold.folds)
    rows = select(table, dataset.labels, fold=fold.fold, experiment=fold.experiment)
    assemble(fold.experiment, dataset, rows, seed=1)
    advance(1)
    return time.time() - asked


def start_up(data: Path) -> float:
    """Return the start-up of a fold of resnet18, which imports most: median of three fresh processes."""
    experiment = experiment_for("resnet18", epochs=1, precision="auto")
    dataset, folds = data / "mnist", data / "folds.npz"
    task = fold_task(experiment, 0, dataset=dataset, folds=folds, out=data)
    tries = [run_tasks(time_to_first_step, [(task, time.time())], workers=1, label="start-up") for _ in range(3)]
    return statistics.median(seconds for (seconds,) in tries)


def matmul_peak(dtype: torch.dtype, *, size: int = 2048, tries: int = 5) -> float:
    """Return the floating-point operations a second of the fastest of some square products on all cores."""
    torch.set_num_threads(worker_count("auto"))
    a, b = (torch.rand(size, size, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(tries + 1))


def operations_per_sample(model: str) -> float:
    """Return the floating-point operations of products and convolutions, forward and backward, for one sample."""
    network = build(model, channels=1, width=1.0, options={}, seed=1)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(10, 1, 28, 28)).sum().backward()
    return counter.get_total_flops() / 10


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def write_data(mnist: Path | None, digits: int | None, data: Path) -> Dataset:
    """Write the training digits as a dataset with a fold table, and return them."""
    source = MnistFolder(kind="path", path=str(mnist.resolve())) if mnist else BundledMnist(kind="bundled")
    images, labels = (array[:digits] for array in collect(source, Path.cwd())["train"])
    ids = np.arange(len(labels))
    dataset = Dataset("mnist", ids, np.ascontiguousarray(images[:, None]), labels.astype(np.int64))
    write_dataset(data / "mnist", {"train": dataset, "test": replace(dataset, ids=ids + len(ids))}, {})
    folds = make_folds(images, dataset.labels, folds=FOLDS, seed=42)
    write_folds(data / "folds.npz", FoldTable(ids, folds[np.newaxis]))
    return dataset


def compare_speed(models: Sequence[str], dataset: Dataset, data: Path, *, epochs: int) -> Table:
    """Return the table of both ways."""
    peaks = {"fp32": matmul_peak(torch.float32), "bf16": matmul_peak(torch.bfloat16)}
    console.print(", ".join(f"matrix product {name}: {peak / 1e9:.0f} GFLOP/s" for name, peak in peaks.items()))
    console.print(f"start-up of a fold: {start_up(data):.1f} s (target: at most 3)")
    table = Table(*["model", "usual /s", "workers", "ours /s", "epochs alone /s", "ratio", "of epochs alone", "target"])
    table.add_column("share of fp32 peak")
    table.add_column("share of bf16 peak")
    for model in models:
        usual, workers = usual_rate(model, dataset, epochs=epochs)
        ours = run_ours(experiment_for(model, epochs=epochs, precision="auto"), data)
        arithmetic = ours.rate_of_epochs * operations_per_sample(model)
        numbers = [f"{usual:.0f}", str(workers), f"{ours.rate:.0f}", f"{ours.rate_of_epochs:.0f}"]
        ratios = [f"{rate / usual:.2f}" for rate in (ours.rate, ours.rate_of_epochs)] + [f"{TARGETS[model]:.1f}"]
        table.add_row(model, *numbers, *ratios, *(f"{arithmetic / peak:.0%}" for peak in peaks.values()))
    return table


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST")
    parser.add_argument("--digits", type=int, help="use the first so many training digits")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    asked = parser.parse_args()
    made_by = provenance()
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        dataset = write_data(asked.mnist, asked.digits, Path(folder))
        console.print(f"{len(dataset.labels)} digits, {asked.epochs} epochs")
        console.print(compare_speed(asked.models, dataset, Path(folder), epochs=asked.epochs))


if __name__ == "__main__":
    main()

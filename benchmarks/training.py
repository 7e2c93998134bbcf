"""How fast the training engine is, against the usual way, on the same digits, networks, batch sizes and cores.

    python benchmarks/training.py --mnist FOLDER        # the IDX files of MNIST; without it the 5,000 bundled digits
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/training.py --precision fp32 --epochs 10

*Usual*: torchvision's transforms on PIL images, a ``Dataset``, a ``DataLoader`` with the number of workers that proves
fastest, fp32, torch's own layers, a plain loop with as many threads as cores; the time of its fastest epoch, training
alone. *Ours*: what the stage ``train`` runs, folds over the cores, from the start of the processes to the last record,
with validation, history and predictions. ``epochs alone`` leaves out what comes before and after the epochs.

*CPU us* are CPU microseconds a sample, of ours in a fold's epochs, of the usual way with one thread and no loader
workers, so that threads that wait for one another do not count: its least. Unlike rates, they hardly depend on other
work on the machine. The peak is that of one thread, by CPU time.
"""

import argparse
import resource
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
from shearbench.data.dataset import FOLDS as FOLD_TABLE
from shearbench.data.dataset import Dataset, load, write_dataset
from shearbench.data.folds import FoldTable, make_folds, read_folds, write_folds
from shearbench.data.mnist import collect
from shearbench.data.units import units_of
from shearbench.execution import Advance, run_tasks, worker_count
from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.models.layers import Conv1x1, Conv3x3, Dropout, Flatten, MaxPoolAfterReLU, ReLUBeforePool
from shearbench.records import provenance
from shearbench.torchvision_ops import torchvision
from shearbench.training.config import TrainingConfig, assemble, select
from shearbench.training.crossval import FoldTask, cross_validate, fold_task
from shearbench.training.hardware import resolve, settle
from shearbench.training.loop import fit
from shearbench.training.recipe import Recipe

FOLDS = 5
RECIPES = {  # as params.yaml has them, with the augmentation of the study of the MLP
    "mlp": Recipe(epochs=1, batch=128, learning_rate=1e-3, weight_decay=1e-5, augment="affine"),
    "cnn2": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
    "cnn3": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
    "resnet18": Recipe(epochs=1, batch=100, learning_rate=1e-3, weight_decay=1e-5),
}
TARGETS = {
    "bf16": {"mlp": 10.0, "cnn2": 2.5, "cnn3": 2.2, "resnet18": 1.5},
    "fp32": {"mlp": 5.0, "cnn2": 1.5, "cnn3": 1.3, "resnet18": 1.3},
}
"""How many times as fast as the usual way a model should be, by the precision of our training."""
console = Console(width=140)


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and those that processors worked."""

    wall: float
    cpu: float


class Samples(TorchDataset[tuple[torch.Tensor, int]]):
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


def usual_epoch(network: nn.Module, optimiser: torch.optim.Optimizer, loader: DataLoader[object]) -> Spent:
    """Train one epoch in the usual way."""
    start, used = time.perf_counter(), cpu_seconds()
    network.train()
    loss_sum = 0.0
    for inputs, labels in loader:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs), labels)
        loss.backward()
        optimiser.step()
        loss_sum += loss.item() * len(labels)
    return Spent(time.perf_counter() - start, cpu_seconds() - used)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for, loader workers among them."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def usual(model: str, dataset: Dataset, *, epochs: int) -> tuple[Spent, int]:
    """Return what a sample takes in the usual way, and the number of loader workers that it ran with.

    The number is the fastest on a tenth of the digits.
    """
    cores = worker_count("auto")
    torch.set_num_threads(cores)
    share = range(len(dataset.labels) // 10)
    tries = {workers: usual_run(model, dataset, share, workers=workers, epochs=1) for workers in range(cores + 1)}
    best = min(tries, key=lambda workers: tries[workers].wall)
    return usual_run(model, dataset, range(len(dataset.labels)), workers=best, epochs=epochs), best


def usual_run(model: str, dataset: Dataset, rows: range, *, workers: int, epochs: int) -> Spent:
    """Return what a sample takes in the fastest epoch of a training in the usual way on some digits."""
    recipe = RECIPES[model]
    digits = Samples(dataset.inputs[rows, 0], dataset.labels[rows], augment=recipe.augment != "none")
    network = with_torchs_layers(build(model, inputs=Inputs(1), width=1.0, options={}, seed=1))
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    loader = DataLoader(digits, batch_size=recipe.batch, shuffle=True, num_workers=workers)
    spent = [usual_epoch(network, optimiser, loader) for _ in range(epochs)]
    return Spent(min(each.wall for each in spent) / len(rows), min(each.cpu for each in spent) / len(rows))


def with_torchs_layers(network: nn.Module) -> nn.Module:
    """Return a network with torch's layers in place of our own, which compute the same faster."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, Dropout):
                setattr(module, name, nn.Dropout(child.p))
            elif isinstance(child, ReLUBeforePool):
                setattr(module, name, nn.ReLU())
            elif isinstance(child, MaxPoolAfterReLU):
                setattr(module, name, nn.MaxPool2d(child.kernel_size))
            elif isinstance(child, Flatten):
                setattr(module, name, nn.Flatten())
            elif isinstance(child, Conv1x1 | Conv3x3):
                shape = {"stride": child.stride, "padding": child.padding, "bias": False}
                setattr(module, name, nn.Conv2d(child.in_channels, child.out_channels, child.kernel_size, **shape))
    return network


@dataclass(frozen=True)
class Ours:
    """Samples a second over the whole run and over its epochs alone, and the held-out accuracy of each fold."""

    rate: float
    rate_of_epochs: float


def ablation_for(model: str, *, epochs: int, precision: str) -> TrainingConfig:
    """Return the experiment of a model; ``precision`` as in params.yaml."""
    hardware = resolve("auto", precision)  # type: ignore[arg-type]
    return TrainingConfig(
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


def run_ours(config: TrainingConfig, data: Path, *, folds: int) -> Ours:
    """Cross-validate as the stage ``train`` does, into a folder that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as out:
        start = time.perf_counter()
        records = cross_validate(
            config,
            dataset=data / "mnist",
            out=Path(out),
            workers="auto",
            only=range(folds),
        )
        seconds = time.perf_counter() - start
    samples = sum(record["sizes"]["train"] * record["epochs"] for record in records)
    busy = sum(record["seconds"] for record in records) / worker_count("auto")
    return Ours(samples / seconds, samples / busy)


def cpu_of_a_fold(task: FoldTask, advance: Advance) -> float:
    """Return the CPU seconds that a fold's epochs take for a training sample, with the validation after each."""
    settle(task.config.hardware)
    dataset, table = load(task.dataset, "train"), read_folds(task.dataset / FOLD_TABLE)
    rows = select(table, dataset.labels, fold=task.fold, config=task.config)
    training_state = assemble(task.config, dataset, rows, seed=1)
    start = time.process_time()
    progress = fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
    advance(1)
    return (time.process_time() - start) / len(rows.train) / len(progress.history)


def time_to_first_step(task: tuple[FoldTask, float], advance: Advance) -> Spent:
    """Return what lies between the asking of a process and the moment its fold could take its first step."""
    fold, asked = task
    dataset, table = load(fold.dataset, "train"), read_folds(fold.dataset / FOLD_TABLE)
    rows = select(table, dataset.labels, fold=fold.fold, config=fold.config)
    assemble(fold.config, dataset, rows, seed=1)
    advance(1)
    return Spent(time.time() - asked, cpu_seconds())


def start_up(data: Path) -> Spent:
    """Return the start-up of a fold of resnet18, which imports most: medians of three fresh processes."""
    config = ablation_for("resnet18", epochs=1, precision="auto")
    task = fold_task(config, 0, dataset=data / "mnist", out=data)
    tries = [run_tasks(time_to_first_step, [(task, time.time())], workers=1, label="start-up")[0] for _ in range(3)]
    return Spent(statistics.median(spent.wall for spent in tries), statistics.median(spent.cpu for spent in tries))


def matmul_peak(dtype: torch.dtype, *, size: int = 2048, tries: int = 5) -> float:
    """Return the floating-point operations a CPU second of the fastest of some square products on one core."""
    torch.set_num_threads(1)
    a, b = (torch.rand(size, size, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(_cpu_seconds_of(lambda: a @ b) for _ in range(tries + 1))


def operations_per_sample(model: str) -> float:
    """Return the floating-point operations of products and convolutions, forward and backward, for one sample."""
    network = build(model, inputs=Inputs(1), width=1.0, options={}, seed=1)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(10, 1, 28, 28)).sum().backward()
    return counter.get_total_flops() / 10


def _cpu_seconds_of(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def write_data(mnist: Path | None, digits: int | None, data: Path) -> Dataset:
    """Write the training digits as a dataset with a fold table, and return them."""
    source = MnistFolder(kind="path", path=str(mnist.resolve())) if mnist else BundledMnist(kind="bundled")
    images, labels, groups = (array[:digits] for array in collect(source, Path.cwd())["train"])
    ids = np.arange(len(labels))
    dataset = Dataset("mnist", ids, np.ascontiguousarray(images[:, None]), labels.astype(np.int64))
    write_dataset(data / "mnist", {"train": dataset, "test": replace(dataset, ids=ids + len(ids))}, {})
    folds = make_folds(units_of(images, groups), dataset.labels, folds=FOLDS, seed=42)
    write_folds(data / "mnist" / FOLD_TABLE, FoldTable(ids, folds[np.newaxis]))
    return dataset


def compare_rates(
    models: Sequence[str], dataset: Dataset, data: Path, *, epochs: int, folds: int, precision: str
) -> Table:
    """Return the table of samples a second, by the clock and on all cores."""
    table = Table("model", "usual /s", "workers", "ours /s", "epochs alone /s", "ratio", "of epochs alone", "target")
    for model in models:
        theirs, workers = usual(model, dataset, epochs=epochs)
        config = ablation_for(model, epochs=epochs, precision=precision)
        ours = run_ours(config, data, folds=folds)
        rates = [f"{1 / theirs.wall:.0f}", str(workers), f"{ours.rate:.0f}", f"{ours.rate_of_epochs:.0f}"]
        ratios = [f"{rate * theirs.wall:.2f}" for rate in (ours.rate, ours.rate_of_epochs)]
        table.add_row(model, *rates, *ratios, f"{TARGETS[config.precision][model]:.1f}")
    return table


def compare_costs(models: Sequence[str], dataset: Dataset, data: Path, *, epochs: int, precision: str) -> Table:
    """Return the table of CPU microseconds a sample, both ways with one thread and no other process."""
    peaks = {"fp32": matmul_peak(torch.float32)}
    if ablation_for("mlp", epochs=1, precision=precision).precision == "bf16":  # elsewhere it is emulated: minutes
        peaks["bf16"] = matmul_peak(torch.bfloat16)
    console.print(", ".join(f"matrix product {name}: {peak / 1e9:.0f} GFLOP/s" for name, peak in peaks.items()))
    table = Table(
        "model", "usual CPU us", "ours CPU us", "ratio", "target", *(f"share of {name} peak" for name in peaks)
    )
    for model in models:
        torch.set_num_threads(1)
        theirs = usual_run(model, dataset, range(len(dataset.labels)), workers=0, epochs=epochs).cpu
        config = ablation_for(model, epochs=epochs, precision=precision)
        task = fold_task(config, 0, dataset=data / "mnist", out=data)
        (ours,) = run_tasks(cpu_of_a_fold, [task], workers=1, label=f"{model}, one fold")
        shares = [f"{operations_per_sample(model) / ours / peak:.0%}" for peak in peaks.values()]
        target = TARGETS[config.precision][model]
        numbers = [f"{theirs * 1e6:.1f}", f"{ours * 1e6:.1f}", f"{theirs / ours:.2f}", f"{target:.1f}"]
        table.add_row(model, *numbers, *shares)
    return table


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="folder with the IDX files of MNIST")
    parser.add_argument("--digits", type=int, help="use the first so many training digits")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--models", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument(
        "--folds", type=int, choices=range(1, FOLDS + 1), default=FOLDS, help="train the first ones only"
    )
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--costs-alone", action="store_true", help="CPU seconds: for a machine with other work")
    alone.add_argument("--rates-alone", action="store_true", help="by the clock: for an idle machine")
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of our training")
    asked = parser.parse_args()
    made_by = provenance()
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
        data = Path(folder)
        dataset = write_data(asked.mnist, asked.digits, data)
        console.print(f"{len(dataset.labels)} digits, {asked.epochs} epochs")
        if not asked.rates_alone:
            console.print(compare_costs(asked.models, dataset, data, epochs=asked.epochs, precision=asked.precision))
        if not asked.costs_alone:
            started = start_up(data)
            console.print(
                f"start-up of a fold: {started.wall:.1f} s, {started.cpu:.1f} CPU seconds (target: at most 3)"
            )
            rates = compare_rates(
                asked.models, dataset, data, epochs=asked.epochs, folds=asked.folds, precision=asked.precision
            )
            console.print(rates)


if __name__ == "__main__":
    main()

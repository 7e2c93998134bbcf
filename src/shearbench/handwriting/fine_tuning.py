"""Fine-tuning on a class's own digits, with leave-one-group-out evaluation.

Each fold's network is fine-tuned on the digits of all other groups and predicts the group that was left out. The number
of epochs is fixed in advance, and no choice depends on the predictions for the left-out group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shearbench.execution import Workers, run_tasks
from shearbench.handwriting.networks import Images, as_inputs
from shearbench.handwriting.recipe import Trained
from shearbench.seeds import seed_for
from shearbench.training.adam import Adam
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.loop import fit
from shearbench.training.recipe import Recipe
from shearbench.training.state import FitConfig, Part, Splits
from shearbench.training.weights import load_network, predict

EPOCHS, BATCH, RATE = 15, 32, 2e-4
RECIPE = Recipe(epochs=EPOCHS, batch=BATCH, learning_rate=RATE, weight_decay=1e-5, augment="strong", schedule="cosine")


@dataclass(frozen=True, eq=False)
class Task:
    """A fold's network, and the group of ``images`` (n, 28, 28) that is left out and tested."""

    fold_run: Path
    channels: int
    images: Images
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    left_out: int
    seed: int
    device: Device

    def reads(self) -> tuple[Path, ...]:
        """Return the input folders."""
        return (self.fold_run,)


def leave_one_group_out(
    network: Trained,
    images: Images,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    seed: int,
    workers: Workers,
    device: Device,
) -> NDArray[np.float32]:
    """Return probabilities (folds, n, 10) of each digit, from networks fine-tuned without its group.

    Args:
        network: trained folds to start from; their files are not changed.
        images: (n, 28, 28), prepared.
        labels: (n,).
        groups: (n,), at least two different ones.
        seed: seed of ``params.yaml``.
        workers: processes, or ``"auto"``.
        device: where to train.
    """
    names = np.unique(groups).tolist()
    assert len(names) > 1, "there must be a group to train on"
    tasks = [
        Task(fold_run.folder, network.channels, images, labels, groups, name, seed, device)
        for fold_run in network.fold_runs
        for name in names
    ]
    done = run_tasks(
        tune,
        tasks,
        workers=workers,
        label="fine-tune without each group",
        name=lambda task: f"{task.fold_run.name} without group {task.left_out}",
        reads=Task.reads,
    )
    predictions = np.zeros((len(network.fold_runs), len(labels), 10), np.float32)
    for place, (task, probabilities) in enumerate(zip(tasks, done, strict=True)):
        predictions[place // len(names), groups == task.left_out] = probabilities
    return predictions


def tune(task: Task, advance: Callable[[int], None]) -> NDArray[np.float32]:
    """Fine-tune one fold's network on all groups but one; return probabilities (its digits, 10) of that group."""
    hardware = Hardware(task.device)
    settle(hardware)
    network, normaliser, _ = load_network(task.fold_run)
    network = hardware.place(network)
    seed = seed_for(task.seed, "fine-tune", task.fold_run.parent.name, task.fold_run.name, task.left_out)
    seen = task.groups != task.left_out
    part = Part(
        torch.from_numpy(as_inputs(task.images[seen], task.channels)).to(hardware.device),
        torch.from_numpy(task.labels[seen]).to(hardware.device),
    )
    fit_config = FitConfig.of(RECIPE, normaliser, seed=seed, hardware=hardware)
    fit(network, Adam(network, RECIPE), Splits(part), fit_config)
    inputs = as_inputs(task.images[~seen], task.channels)
    advance(1)
    return predict(network, inputs, normaliser=normaliser, device=hardware.device)

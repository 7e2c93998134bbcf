"""Predictions of trained networks for a class's digits, and distances from MNIST in the last hidden layer.

The tasks run in single-threaded processes, like training, so that the numbers do not depend on the load.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shearbench.analysis.layers import listen
from shearbench.data.normalise import Normaliser
from shearbench.execution import Workers, run_tasks
from shearbench.handwriting.recipe import Trained
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.weights import load_network, predict

Images = NDArray[np.uint8]
Vector = NDArray[np.float64]

SAMPLED = 2000  # MNIST digits that represent MNIST in the last hidden layer
_SHRUNK = 0.1  # share of a covariance replaced by a multiple of the identity, which makes it invertible
_BATCH = 500


@dataclass(frozen=True, eq=False)
class Task:
    """A fold's network and its inputs: preparation -> images (n, 28, 28)."""

    fold_run: Path
    channels: int
    images: Mapping[str, Images]
    device: Device

    def reads(self) -> tuple[Path, ...]:
        """Return the input folders."""
        return (self.fold_run,)


@dataclass(frozen=True, eq=False)
class DistanceTask:
    """A fold's network, images (n, 28, 28), and MNIST digits with their labels."""

    fold_run: Path
    channels: int
    images: Images
    mnist: Images
    labels: NDArray[np.int64]
    device: Device

    def reads(self) -> tuple[Path, ...]:
        """Return the input folders."""
        return (self.fold_run,)


def read_all(
    networks: Sequence[Trained], images: Mapping[str, Images], *, workers: Workers, device: Device
) -> list[dict[str, NDArray[np.float32]]]:
    """Return the predictions of each network: preparation -> probabilities (folds, n, 10)."""
    tasks = [Task(fold_run.folder, one.channels, images, device) for one in networks for fold_run in one.fold_runs]
    predictions = iter(
        run_tasks(
            read,
            tasks,
            workers=workers,
            label="read with all networks",
            name=lambda task: f"{task.fold_run.parent.name} {task.fold_run.name}",
            reads=Task.reads,
        )
    )
    results = []
    for one in networks:
        folds = [next(predictions) for _ in one.fold_runs]
        results.append({name: np.stack([fold[name] for fold in folds]) for name in images})
    return results


def read(task: Task, advance: Callable[[int], None]) -> dict[str, NDArray[np.float32]]:
    """Return one network's predictions: preparation -> probabilities (n, 10)."""
    hardware = Hardware(task.device)
    settle(hardware)
    network, normaliser, _ = load_network(task.fold_run)
    predictions = {
        name: predict(network, as_inputs(images, task.channels), normaliser=normaliser, device=hardware.device)
        for name, images in task.images.items()
    }
    advance(1)
    return predictions


def as_inputs(images: Images, channels: int) -> Images:
    """Return images (n, 28, 28) as inputs (n, channels, 28, 28)."""
    return np.repeat(images[:, None], channels, axis=1)


def distances(
    network: Trained, images: Images, mnist: Images, labels: NDArray[np.int64], *, workers: Workers, device: Device
) -> Vector:
    """Return the distance (n,) of images from MNIST in the last hidden layer, the mean over folds without NaN."""
    tasks = [
        DistanceTask(fold_run.folder, network.channels, images, mnist, labels, device) for fold_run in network.fold_runs
    ]
    found = run_tasks(
        distance,
        tasks,
        workers=workers,
        label="distance from MNIST",
        name=lambda task: task.fold_run.name,
        reads=DistanceTask.reads,
    )
    known = [each for each in found if np.isfinite(each).all()]
    mean: Vector = np.mean(known or found, axis=0)
    return mean


def distance(task: DistanceTask, advance: Callable[[int], None]) -> Vector:
    """Return the distance (n,) of each image from the nearest class of MNIST, for one network.

    This is the Mahalanobis distance to the class mean with one covariance for all classes. It is divided by its median
    over the MNIST digits, so that an ordinary MNIST digit has distance 1. Source: Lee et al., NeurIPS 2018.

    It is NaN for a network without a linear layer, or if all units of the last hidden layer are dead.
    """
    hardware = Hardware(task.device)
    settle(hardware)
    network, normaliser, _ = load_network(task.fold_run)
    if last_linear(network) is None:
        return np.full(len(task.images), np.nan)
    network = hardware.place(network)
    known = hidden(network, as_inputs(task.mnist, task.channels), normaliser, hardware.device)
    points = hidden(network, as_inputs(task.images, task.channels), normaliser, hardware.device)
    advance(1)
    ordinary = float(np.median(mahalanobis(known, known, task.labels)))
    if ordinary == 0:
        return np.full(len(task.images), np.nan)
    return mahalanobis(points, known, task.labels) / ordinary


def mahalanobis(asked: Vector, known: Vector, labels: NDArray[np.int64]) -> Vector:
    """Return the distance (n,) of points (n, d) from the nearest class mean of ``known`` (m, d) with labels (m,)."""
    classes = np.unique(labels)
    means = np.stack([known[labels == each].mean(axis=0) for each in classes])
    centred = known - means[np.searchsorted(classes, labels)]
    covariance = centred.T @ centred / len(known)
    size = len(covariance)
    shrunk = (1 - _SHRUNK) * covariance + _SHRUNK * (np.trace(covariance) / size + 1e-9) * np.eye(size)
    whiten = np.linalg.cholesky(np.linalg.inv(shrunk))  # W W^T is the inverse: |W^T x| is the distance of x from 0
    gaps = asked[:, None, :] @ whiten - (means @ whiten)[None]
    nearest: Vector = np.linalg.norm(gaps, axis=2).min(axis=1)
    return nearest


def last_linear(network: nn.Module) -> nn.Module | None:
    """Return the last linear layer of a network, or None."""
    return next((each for each in reversed(list(network.modules())) if isinstance(each, nn.Linear)), None)


@torch.inference_mode()
def hidden(network: nn.Module, inputs: Images, normaliser: Normaliser, device: str) -> Vector:
    """Return the inputs (n, units) of the last linear layer of a network."""
    parts = []
    for start in range(0, len(inputs), _BATCH):
        batch = torch.from_numpy(normaliser.apply(inputs[start : start + _BATCH])).to(device)
        parts.append(listen(network, batch, nn.Linear)[-1].entered.float().cpu())
    return torch.cat(parts).double().numpy()

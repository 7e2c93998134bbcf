"""The recipe from MNIST to a class's digits, and its networks: predictions, distances from MNIST, fine-tuning.

The networks come from the ablation ``handwriting`` of ``params.yaml``, where they are named ``<network>_<training>``,
and from the runs on ``mnist``. A step is a training, a preparation, and whether samples that the preparation rejects
are left out. The tasks run in single-threaded processes, like training, so that the numbers do not depend on the load.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shearbench.analysis.layers import layer_calls
from shearbench.data.normalise import Normaliser
from shearbench.errors import InputError
from shearbench.execution import Workers, run_tasks
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.records import is_finished
from shearbench.seeds import seed_for
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.loop import fit
from shearbench.training.optimiser import Adam
from shearbench.training.recipe import Recipe
from shearbench.training.results import load_network, predict
from shearbench.training.state import FitConfig, Part, Splits

ABLATION = "handwriting"
RUN = "run"
"""The training of a network of a run, with the recipe of ``params.yaml``."""

Training = Literal["plain", "affine", "stopped", "strong"]
"""MNIST as it is; with affine augmentation; also with early stopping on a validation split; with strong augmentation.
"""
TRAININGS: tuple[Training, ...] = get_args(Training)
Images = NDArray[np.uint8]
Vector = NDArray[np.float64]
Numbers = NDArray[np.int64]
Probabilities = NDArray[np.float32]
SAMPLED = 2000  # MNIST digits that represent MNIST in the last hidden layer
FINE_TUNING = Recipe(epochs=15, batch=32, learning_rate=2e-4, weight_decay=1e-5, augment="strong", schedule="cosine")
_SHRUNK = 0.1  # share of a covariance replaced by a multiple of the identity, which makes it invertible
_BATCH = 500


@dataclass(frozen=True)
class Step:
    """A step of the recipe. Steps 1 to 5 are the study's; step 5 shows step 4 by group."""

    number: int
    title: str
    training: Training
    preparation: str
    filtered: bool


STEPS = (
    Step(1, "plain MNIST", "plain", "study", False),
    Step(2, "affine augmentation", "affine", "study", False),
    Step(3, "validation split, early stopping", "stopped", "study", False),
    Step(4, "filtering", "stopped", "study", True),
    Step(5, "per group", "stopped", "study", True),
    Step(6, "mnist preparation", "stopped", "mnist", True),
    Step(7, "stronger augmentation", "strong", "mnist", True),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """An available network with its folds: ``network`` is its family (``mlp``), ``training`` its training."""

    network: str
    training: str
    fold_runs: Sequence[FoldRun]

    @property
    def name(self) -> str:
        return f"{self.network}_{self.training}"

    @property
    def mnist_accuracy(self) -> float:
        """Accuracy on the held-out MNIST digits, the mean over folds."""
        return mean(float(fold_run.record["metrics"]["validation_accuracy"]) for fold_run in self.fold_runs)

    @property
    def channels(self) -> int:
        """The number of input channels; each holds the same image."""
        return int(self.fold_runs[0].record["config"]["entry"]["channels"])


def available(
    build: Path, *, is_current: Callable[[Path, Sequence[FoldRun]], bool] = lambda _folder, _runs: True
) -> list[Trained]:
    """Return the networks in ``build/`` that were trained on MNIST's images, each with its finished folds.

    Folds are left out if ``is_current(folder, folds)`` is False, such as those of a renamed entry.

    Raises:
        InputError: if no network is found, or a record is damaged.
    """
    found = []
    of_ablation = sorted((build / "ablations" / ABLATION).glob("*/*"))
    for folder in (*of_ablation, *sorted((build / "runs").glob("*/*"))):
        folds = next(fold for fold in count() if not is_finished(folder / f"fold-{fold}"))
        fold_runs = read_fold_runs(folder, folds)
        is_of_mnist = bool(fold_runs) and fold_runs[0].record["config"]["entry"]["source"] == "mnist"
        if is_of_mnist and is_current(folder, fold_runs):
            name = _of_ablation(folder) if folder in of_ablation else _of_run(folder)
            found.append(Trained(*name, fold_runs))
    if not found:
        raise InputError(
            f"{build} has no trained network: run `dvc repro ablation@{ABLATION}`, which trains those of the recipe, "
            "then the same command again"
        )
    return found


def _of_ablation(folder: Path) -> tuple[str, str]:
    """Return network and training by the name of a folder: ``mlp_strong``; other names get the training ``grid``."""
    network, _, training = folder.name.rpartition("_")
    return (network, training) if network and training in TRAININGS else (folder.name, "grid")


def _of_run(folder: Path) -> tuple[str, str]:
    return folder.name if folder.parent.name == "mnist" else f"{folder.parent.name}-{folder.name}", RUN


def best_of(networks: Sequence[Trained]) -> Trained:
    """Return the network for detailed analyses: the best on MNIST among those with the strongest training.

    The choice does not depend on the class's digits.
    """
    order = ["strong", "stopped", "plain", "affine", RUN, "grid"]
    strongest = min((one.training for one in networks), key=order.index)
    return max((one for one in networks if one.training == strongest), key=lambda one: one.mnist_accuracy)


@dataclass(frozen=True, eq=False)
class PredictionTask:
    """A fold's network and its inputs: preparation -> images (n, 28, 28)."""

    fold_run: Path
    channels: int
    images: Mapping[str, Images]
    device: Device


@dataclass(frozen=True, eq=False)
class DistanceTask:
    """A fold's network, images (n, 28, 28), and MNIST digits with their labels."""

    fold_run: Path
    channels: int
    images: Images
    mnist: Images
    labels: Numbers
    device: Device


@dataclass(frozen=True, eq=False)
class FineTuningTask:
    """A fold's network, and the group of ``images`` (n, 28, 28) that is left out and predicted."""

    fold_run: Path
    channels: int
    images: Images
    labels: Numbers
    groups: Numbers
    left_out: int
    seed: int
    device: Device


def predict_all(
    networks: Sequence[Trained], images: Mapping[str, Images], *, workers: Workers, device: Device
) -> list[dict[str, Probabilities]]:
    """Return the predictions of each network: preparation -> probabilities (folds, n, 10)."""
    tasks = [
        PredictionTask(fold_run.folder, one.channels, images, device) for one in networks for fold_run in one.fold_runs
    ]
    predictions = iter(_run(predict_images, tasks, workers=workers, label="predict with all networks"))
    results = []
    for one in networks:
        folds = [next(predictions) for _ in one.fold_runs]
        results.append({name: np.stack([fold[name] for fold in folds]) for name in images})
    return results


def _run(function: Callable[[Any, Any], Any], tasks: Sequence[Any], *, workers: Workers, label: str) -> list[Any]:
    return run_tasks(
        function,
        tasks,
        workers=workers,
        label=label,
        name=lambda task: f"{task.fold_run.parent.name} {task.fold_run.name}",
        reads=lambda task: (task.fold_run,),
    )


def predict_images(task: PredictionTask, advance: Callable[[int], None]) -> dict[str, Probabilities]:
    """Return one network's predictions: preparation -> probabilities (n, 10)."""
    network, normaliser = _loaded(task.fold_run, task.device)
    predictions = {
        name: predict(network, as_inputs(images, task.channels), normaliser=normaliser, device=task.device)
        for name, images in task.images.items()
    }
    advance(1)
    return predictions


def _loaded(fold_run: Path, device: Device) -> tuple[nn.Module, Normaliser]:
    hardware = Hardware(device)
    settle(hardware)
    network, normaliser, _ = load_network(fold_run)
    return hardware.place(network), normaliser


def as_inputs(images: Images, channels: int) -> Images:
    """Return images (n, 28, 28) as inputs (n, channels, 28, 28)."""
    return np.repeat(images[:, None], channels, axis=1)


def distances(
    network: Trained, images: Images, mnist: Images, labels: Numbers, *, workers: Workers, device: Device
) -> Vector:
    """Return the distance (n,) of images from MNIST in the last hidden layer, the mean over folds without NaN."""
    tasks = [
        DistanceTask(fold_run.folder, network.channels, images, mnist, labels, device) for fold_run in network.fold_runs
    ]
    found = _run(distance, tasks, workers=workers, label="distance from MNIST")
    known = [each for each in found if np.isfinite(each).all()]
    return np.asarray(np.mean(known or found, axis=0))


def distance(task: DistanceTask, advance: Callable[[int], None]) -> Vector:
    """Return the distance (n,) of each image from the nearest class of MNIST, for one network.

    This is the Mahalanobis distance to the class mean with one covariance for all classes. It is divided by its median
    over the MNIST digits, so that an ordinary MNIST digit has distance 1. Source: Lee et al., NeurIPS 2018.

    It is NaN for a network without a linear layer, or if all units of the last hidden layer are dead.
    """
    network, normaliser = _loaded(task.fold_run, task.device)
    unknown = np.full(len(task.images), np.nan)
    if last_linear(network) is None:
        advance(1)
        return unknown
    known, points = (
        hidden(network, as_inputs(images, task.channels), normaliser, task.device)
        for images in (task.mnist, task.images)
    )
    advance(1)
    ordinary = float(np.median(mahalanobis(known, known, task.labels)))
    return mahalanobis(points, known, task.labels) / ordinary if ordinary else unknown


def mahalanobis(points: Vector, known: Vector, labels: Numbers) -> Vector:
    """Return the distance (n,) of points (n, d) from the nearest class mean of ``known`` (m, d) with labels (m,)."""
    classes = np.unique(labels)
    means = np.stack([known[labels == each].mean(axis=0) for each in classes])
    centred = known - means[np.searchsorted(classes, labels)]
    covariance = centred.T @ centred / len(known)
    size = len(covariance)
    shrunk = (1 - _SHRUNK) * covariance + _SHRUNK * (np.trace(covariance) / size + 1e-9) * np.eye(size)
    whiten = np.linalg.cholesky(np.linalg.inv(shrunk))  # W W^T is the inverse: |W^T x| is the distance of x from 0
    gaps = points[:, None, :] @ whiten - (means @ whiten)[None]
    return np.asarray(np.linalg.norm(gaps, axis=2).min(axis=1))


def last_linear(network: nn.Module) -> nn.Module | None:
    return next((each for each in reversed(list(network.modules())) if isinstance(each, nn.Linear)), None)


@torch.inference_mode()
def hidden(network: nn.Module, inputs: Images, normaliser: Normaliser, device: str) -> Vector:
    """Return the inputs (n, units) of the last linear layer of a network."""
    parts = []
    for start in range(0, len(inputs), _BATCH):
        batch = torch.from_numpy(normaliser.apply(inputs[start : start + _BATCH])).to(device)
        parts.append(layer_calls(network, batch, nn.Linear)[-1].entered.float().cpu())
    return torch.cat(parts).double().numpy()


def leave_one_group_out(
    network: Trained, images: Images, labels: Numbers, groups: Numbers, *, seed: int, workers: Workers, device: Device
) -> Probabilities:
    """Return probabilities (folds, n, 10) of each digit, from networks fine-tuned on the digits of all other groups.

    ``images`` (n, 28, 28) are prepared; ``groups`` (n,) are at least two. The number of epochs is fixed in advance, and
    no choice depends on the predictions for the left-out group. The files of the folds are not changed.
    """
    names = np.unique(groups).tolist()
    tasks = [
        FineTuningTask(fold_run.folder, network.channels, images, labels, groups, name, seed, device)
        for fold_run in network.fold_runs
        for name in names
    ]
    done = _run(fine_tune, tasks, workers=workers, label="fine-tune without each group")
    predictions = np.zeros((len(network.fold_runs), len(labels), 10), np.float32)
    for place, (task, probabilities) in enumerate(zip(tasks, done, strict=True)):
        predictions[place // len(names), groups == task.left_out] = probabilities
    return predictions


def fine_tune(task: FineTuningTask, advance: Callable[[int], None]) -> Probabilities:
    """Fine-tune one fold's network on all groups but one; return probabilities (its digits, 10) of that group."""
    network, normaliser = _loaded(task.fold_run, task.device)
    seed = seed_for(task.seed, "fine-tune", task.fold_run.parent.name, task.fold_run.name, task.left_out)
    seen = task.groups != task.left_out
    part = Part(
        torch.from_numpy(as_inputs(task.images[seen], task.channels)).to(task.device),
        torch.from_numpy(task.labels[seen]).to(task.device),
    )
    config = FitConfig.of(FINE_TUNING, normaliser, seed=seed, hardware=Hardware(task.device))
    fit(network, Adam(network, FINE_TUNING), Splits(part), config)
    advance(1)
    return predict(network, as_inputs(task.images[~seen], task.channels), normaliser=normaliser, device=task.device)

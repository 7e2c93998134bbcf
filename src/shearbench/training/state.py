"""Values of the training loop: the parts of the data, the fit config, the progress, and the cost of an epoch."""

import math
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.training.hardware import Hardware
from shearbench.training.recipe import Recipe
from shearbench.training.running_averages import Lag, Modes

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass(frozen=True, eq=False)
class Part:
    """Samples on the device: ``inputs`` (n, channels, height, width), not normalised, and ``labels`` int64 (n,)."""

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, dataset: Dataset, rows: NDArray[np.int64], hardware: Hardware) -> "Part":
        """Return the samples of some rows of a dataset, on the device."""
        inputs, labels = torch.from_numpy(dataset.inputs[rows]), torch.from_numpy(dataset.labels[rows])
        return cls(inputs.to(hardware.device), labels.to(hardware.device))


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of a training: ``inner`` decides early stopping, ``validation`` is only scored."""

    train: Part
    validation: Part | None = None
    inner: Part | None = None


@dataclass(frozen=True, eq=False)
class FitConfig:
    """All that decides a training except its network and its data."""

    recipe: Recipe
    seed: int
    hardware: Hardware
    mean: Tensor
    scale: Tensor
    diagnose: bool = False
    """Whether gradients and running averages are measured; this does not affect the training."""

    @classmethod
    def of(
        cls, recipe: Recipe, normaliser: Normaliser, *, seed: int, hardware: Hardware, diagnose: bool = False
    ) -> "FitConfig":
        """Return the fit config with the arrays of the normaliser on the device."""
        mean, scale = torch.from_numpy(normaliser.mean), torch.from_numpy(normaliser.scale)
        return cls(recipe, seed, hardware, mean.to(hardware.device), scale.to(hardware.device), diagnose)

    def normalise(self, inputs: Tensor) -> Tensor:
        """Return normalised inputs in float32, bit-equal to ``Normaliser.apply`` on the CPU."""
        return (inputs.to(torch.float32) - self.mean) / self.scale


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy and accuracy."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """A line of the history. ``train`` is a running mean in training mode; the others are computed after the epoch."""

    number: int
    learning_rate: float
    train: Score
    validation: Score | None
    inner: Score | None
    gradient_norms: tuple[float, ...] = ()
    """Norm of the gradient of each mini-batch, with ``diagnose``."""
    lags: tuple[Lag, ...] = ()
    """Lag of each layer with running averages at the end of the epoch, with ``diagnose``."""
    modes: Modes | None = None
    """Accuracy with each kind of batch-norm statistics, with ``diagnose`` and a validation part."""


@dataclass(frozen=True, eq=False)
class Progress:
    """The state of a training; ``best_weights`` are those with the lowest inner loss, if there is an inner part."""

    history: tuple[Epoch, ...] = ()
    batch_losses: tuple[tuple[float, ...], ...] = ()
    best_epoch: int = 0
    best_weights: Mapping[str, Tensor] | None = None

    @property
    def best_loss(self) -> float:
        """The lowest inner loss so far; infinite before the first."""
        best = self.history[self.best_epoch - 1].inner if self.best_epoch else None
        return math.inf if best is None else best.loss

    @property
    def chosen_epoch(self) -> int:
        """The epoch of the final weights: the best, or without an inner part the last."""
        return self.best_epoch or len(self.history)

    def is_over(self, recipe: Recipe) -> bool:
        """Return True if all epochs are done, or ``patience`` of them have passed without a better inner loss."""
        done = len(self.history)
        impatient = recipe.patience is not None and done > 0 and done - self.best_epoch >= recipe.patience
        return done >= recipe.epochs or impatient

    def after(
        self, epoch: Epoch, batch_losses: tuple[float, ...], best_weights: Mapping[str, Tensor] | None
    ) -> "Progress":
        """Return the progress after one more epoch; ``best_weights`` is None unless the epoch is the best so far."""
        return Progress(
            (*self.history, epoch),
            (*self.batch_losses, batch_losses),
            self.best_epoch if best_weights is None else epoch.number,
            self.best_weights if best_weights is None else best_weights,
        )


class EpochCost(NamedTuple):
    """Wall-clock seconds, CPU seconds of the process, and its peak memory so far in bytes."""

    seconds: float
    cpu_seconds: float
    memory: int


class Meter:
    """Measure the cost of consecutive epochs; the first starts with the constructor."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start an epoch now."""
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def cost(self) -> EpochCost:
        """Return the cost of the epoch since its start."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
        return EpochCost(time.monotonic() - self._wall, time.process_time() - self._cpu, memory)


def facts_of(cost: Sequence[EpochCost], epochs: Sequence[EpochCost]) -> dict[str, Any]:
    """Return the cost of a fold for its record: totals, the largest memory in bytes, and lists of ``epochs``."""
    return {
        "seconds": sum(one.seconds for one in cost),
        "cpu_seconds": sum(one.cpu_seconds for one in cost),
        "memory": max(one.memory for one in cost),
        **{f"epoch_{name}": [getattr(one, name) for one in epochs] for name in EpochCost._fields},
    }

"""Values of the training loop: parts of the data, fit config, progress, cost of an epoch; and running averages.

:func:`lags` measures how well the running averages of batch normalisation fit the present weights of a network. They
are recalibrated on a copy, so the training is not affected.
"""

import copy
import math
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.training.hardware import Hardware
from shearbench.training.recipe import Recipe

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


@dataclass(frozen=True)
class Lag:
    """The distance of a layer's running averages from the statistics of its present inputs.

    ``mean`` is the root mean square over channels of the difference of the means, in units of the present standard
    deviation. ``deviation`` is the geometric mean over channels of running divided by present standard deviation.
    Without lag they are 0 and 1.
    """

    layer: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Modes:
    """Accuracy of the same weights on the same ``samples`` validation samples, by batch-norm statistics.

    ``as_trained`` uses the running averages, ``batch_statistics`` those of each batch, ``recalibrated`` running
    averages recomputed on training samples.
    """

    samples: int
    as_trained: float
    batch_statistics: float
    recalibrated: float


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


def layers_of(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """Return the layers that normalise by running averages in evaluation mode, by name; may be empty."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats
    }


@torch.no_grad()
def recalibrated(network: nn.Module, batches: Iterable[Tensor], hardware: Hardware) -> nn.Module:
    """Return a copy in evaluation mode with the same weights and with running averages of ``batches``.

    The batches are normalised inputs, (n, channels, height, width) each, on the device of the network.
    """
    made = copy.deepcopy(network).eval()
    layers = layers_of(made).values()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        # Only batch-norm layers are in training mode; dropout stays off, as in evaluation.
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over the batches
        layer.train()
    for inputs in batches:
        with hardware.autocast():
            made(inputs)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    return made.eval()


def with_batch_statistics(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that uses the statistics of each batch, as in training."""
    made = copy.deepcopy(network).eval()
    for layer in layers_of(made).values():
        layer.running_mean = layer.running_var = None
    return made


def lags(network: nn.Module, present: nn.Module) -> tuple[Lag, ...]:
    """Return the lag of each layer of ``network`` behind its recalibrated copy ``present``."""
    pairs = zip(layers_of(network).items(), layers_of(present).values(), strict=True)
    return tuple(_lag(name, layer, now) for (name, layer), now in pairs)


def gradient_norm(network: nn.Module) -> Tensor:
    """Return the Euclidean norm of the gradient over all parameters, (), on the device."""
    return nn.utils.get_total_norm([each.grad for each in network.parameters() if each.grad is not None])


def _lag(name: str, layer: nn.BatchNorm2d, now: nn.BatchNorm2d) -> Lag:
    (mean, variance), (present_mean, present_variance) = _averages(layer), _averages(now)
    shift = (mean - present_mean) / present_variance.sqrt()
    ratio = (variance.log() - present_variance.log()) / 2
    return Lag(name, float(shift.square().mean().sqrt()), float(ratio.mean().exp()))


def _averages(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return running mean and variance, float64; the variance with the layer's ``eps``, which normalisation adds."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.double(), layer.running_var.double() + layer.eps

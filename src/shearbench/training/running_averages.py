"""Measure how well the running averages of batch normalisation fit the present weights of a network.

They are recalibrated on a copy, so the training is not affected.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shearbench.training.hardware import Hardware


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

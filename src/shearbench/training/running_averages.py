"""Batch normalisation's running averages, which a network in evaluation mode trusts: do they fit its weights?

They are recalibrated on a copy, so that no weight and no bit of a training changes. ``gradient_norm`` stands here
because it is the other thing that a diagnosed training measures.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn

from shearbench.training.hardware import Hardware


@dataclass(frozen=True)
class Lag:
    """The distance of a layer's running averages from the statistics of its present inputs.

    ``mean`` is the root mean square over channels of the difference of the means, in units of the present standard
    deviation; ``deviation`` is the geometric mean over channels of running by present standard deviation. A layer
    that is up to date has 0 and 1.
    """

    layer: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Modes:
    """Accuracy of the same weights on the same ``samples`` validation samples, by batch-norm statistics.

    ``as_trained`` uses the running averages, ``batch_statistics`` those of each batch, ``recalibrated`` running
    averages measured anew on training samples.
    """

    samples: int
    as_trained: float
    batch_statistics: float
    recalibrated: float


def has_running_averages(module: nn.Module) -> TypeGuard[nn.BatchNorm2d]:
    """Return True if a layer normalises by running averages in evaluation mode."""
    return isinstance(module, nn.BatchNorm2d) and module.track_running_stats


def layers_of(network: nn.Module) -> dict[str, nn.BatchNorm2d]:
    """Return the layers with running averages, by name, in the order of the network; empty where it has none."""
    return {name: module for name, module in network.named_modules() if has_running_averages(module)}


@torch.no_grad()
def recalibrated(network: nn.Module, batches: Iterable[Tensor], hardware: Hardware) -> nn.Module:
    """Return a copy in evaluation mode whose running averages are the mean over ``batches``; its weights are the same.

    Args:
        network: on the device of the batches; left as it is.
        batches: normalised inputs, (n, channels, 28, 28) each.
        hardware: whose precision the forward passes take.
    """
    made = copy.deepcopy(network).eval()
    layers = layers_of(made).values()
    kept = [layer.momentum for layer in layers]
    for layer in layers:
        # Only the batch-norm layers train; dropout stays off, as in the evaluation that the averages are for.
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over the batches
        layer.train()
    for inputs in batches:
        with hardware.autocast():
            made(inputs)
    for layer, momentum in zip(layers, kept, strict=True):
        layer.momentum = momentum
    return made.eval()


def with_batch_statistics(network: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that normalises each batch by the batch's own statistics, as in training."""
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
    mean, variance = _averages(layer)
    present_mean, present_variance = _averages(now)
    shift = (mean - present_mean) / present_variance.sqrt()
    ratio = (variance.log() - present_variance.log()) / 2
    return Lag(name, float(shift.square().mean().sqrt()), float(ratio.mean().exp()))


def _averages(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return running mean and variance, float64; the variance with the layer's ``eps``, which normalisation adds."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.double(), layer.running_var.double() + layer.eps

"""Floating point operations against closed forms; latency is a time and only has to be one."""

import numpy as np
from torch import nn

import small_model
from shearbench.analysis.cost.measure import cost


def _cost_of(network: nn.Module, fold: int = 0):
    inputs = np.zeros((10, 1, 28, 28), np.uint8)
    return cost(small_model.trained_of(network, inputs, np.arange(10), fold=fold))


def test_operations_of_linear_layers_and_convolutions() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 30), nn.ReLU(), nn.Linear(30, 10))
    assert _cost_of(linear).facts["flops"] == 2 * (784 * 30 + 30 * 10)
    convolution = nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(4 * 24 * 24, 10))
    assert _cost_of(convolution).facts["flops"] == 2 * (24 * 24 * 4 * 25 + 4 * 24 * 24 * 10)


def test_latency_per_image_of_the_first_fold_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    seconds = _cost_of(network).facts["seconds"]
    assert seconds.keys() == {"1", "64"}
    assert all(value > 0 for value in seconds.values())
    assert _cost_of(network, fold=1).facts == {}

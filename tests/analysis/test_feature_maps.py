"""Feature maps against the network taken apart by hand."""

import numpy as np
import torch
from torch import nn

from shearbench.analysis.activations.measure import convolutions, feature_maps
from shearbench.models import build
from shearbench.models.interface import Inputs
from small_model import trained_of


def samples() -> tuple[np.ndarray, np.ndarray]:
    inputs = np.random.default_rng(1).integers(0, 256, (20, 1, 28, 28)).astype(np.uint8)
    return inputs, np.arange(20) % 10


def test_maps_are_those_of_each_convolution_in_turn() -> None:
    network = build("cnn3", inputs=Inputs(1), width=0.25, options={}, seed=2).eval()
    inputs, labels = samples()
    measured = feature_maps(trained_of(network, inputs, labels))
    assert measured.facts["class"] == 7
    assert measured.facts["id"] == 7
    assert [layer["name"] for layer in measured.facts["layers"]] == ["conv1", "conv2", "conv3"]
    assert [layer["resolution"] for layer in measured.facts["layers"]] == [[28, 28], [14, 14], [7, 7]]
    now = torch.from_numpy(inputs[7:8].astype(np.float32))
    with torch.no_grad():
        for place, layer in enumerate(measured.facts["layers"]):
            maps = network.get_submodule(layer["name"])(now)[0]
            assert layer["channels"] == len(maps)
            assert layer["silent"] == sum(bool((each <= 0).all()) for each in maps)
            spread = [float(each.std()) for each in maps]
            assert layer["shown"] == sorted(range(len(maps)), key=lambda channel: -spread[channel])[:6]
            torch.testing.assert_close(torch.from_numpy(measured.arrays[f"maps-{place}"]), maps[layer["shown"]])
            now = nn.functional.max_pool2d(maps.relu()[None], 2)


def test_of_each_resolution_the_last_convolution_is_shown() -> None:
    network = build("resnet18", inputs=Inputs(2), width=0.25, options={}, seed=2).eval()
    names = [each.name for each in convolutions(network, torch.zeros(1, 2, 28, 28))]
    assert names == ["conv1", "layer1.1.conv2", "layer2.1.conv2", "layer3.1.conv2"]  # layer4 is 1 x 1


def test_a_network_without_convolutions_says_so() -> None:
    inputs, labels = samples()
    measured = feature_maps(trained_of(build("mlp", inputs=Inputs(1), width=0.1, options={}, seed=0), inputs, labels))
    assert measured.facts["skipped"] == "no convolution"
    assert list(measured.arrays) == ["seen"]

"""Attribution against a map worked out by hand and against Grad-CAM written out with autograd."""

import numpy as np
import pytest
import torch
from torch import nn

from shearbench.analysis.gradcam.measure import attribute, last_feature_map
from shearbench.models import build
from shearbench.models.interface import Inputs


def network_of(architecture: str, channels: int = 1) -> nn.Module:
    return build(architecture, inputs=Inputs(channels), width=0.25, options={}, seed=3).eval()


def test_map_of_a_network_known_by_heart() -> None:
    """One identity convolution and a sum: the gradient is 1 everywhere, so the map is the input where positive."""
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(convolution.weight)
    network = nn.Sequential(convolution, nn.Flatten(), nn.Linear(784, 10, bias=False)).eval()
    nn.init.ones_(network[2].weight)
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 3, 4], image[0, 0, 5, 6], image[0, 0, 7, 8] = 2.0, 1.0, -5.0
    found = attribute(network, image, torch.tensor([0]))
    assert found.method == "grad-cam"
    assert found.maps[0, 3, 4] == 1.0
    assert found.maps[0, 5, 6] == 0.5
    assert found.maps[0].sum() == pytest.approx(1.5)


@pytest.mark.parametrize("architecture", ["cnn2", "cnn3", "resnet18"])
def test_map_is_grad_cam_written_out(architecture: str) -> None:
    network = network_of(architecture, channels=2)
    inputs = torch.randn(3, 2, 28, 28, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([1, 4, 9])
    found = last_feature_map(network, inputs)
    assert found is not None
    kept: list[torch.Tensor] = []
    handle = found[1].register_forward_hook(lambda *call: kept.append(call[2]))
    scores = network(inputs)[torch.arange(3), targets]
    handle.remove()
    (gradient,) = torch.autograd.grad(scores.sum(), kept[0])
    map_ = (gradient.mean(dim=(2, 3), keepdim=True) * kept[0]).sum(dim=1, keepdim=True).relu()
    expected = nn.functional.interpolate(map_, (28, 28), mode="bilinear")[:, 0]
    largest = expected.amax(dim=(1, 2), keepdim=True)
    expected = torch.where(largest > 0, expected / largest, 0.0)
    maps = attribute(network, inputs, targets).maps
    np.testing.assert_allclose(maps, expected.detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(("architecture", "name", "side"), [("cnn2", "relu2", 14), ("cnn3", "relu3", 7)])
def test_last_feature_map_is_an_activation_that_can_tell_places(architecture: str, name: str, side: int) -> None:
    found = last_feature_map(network_of(architecture), torch.rand(1, 1, 28, 28))
    assert found is not None
    assert (found[0], found[2]) == (name, (side, side))
    assert isinstance(found[1], nn.ReLU)


def test_of_a_residual_network_it_is_the_output_of_a_stage() -> None:
    network = network_of("resnet18")
    found = last_feature_map(network, torch.rand(1, 1, 28, 28))
    assert found is not None
    assert (found[0], found[2]) == ("layer2", (4, 4))  # layer3 has 2 x 2
    kept: list[torch.Tensor] = []
    found[1].register_forward_hook(lambda *call: kept.append(call[2]))
    network(torch.rand(2, 1, 28, 28))
    assert kept[0].min() == 0, "after shortcut and activation"


def test_network_without_convolution_gets_saliency_and_a_reason() -> None:
    network = network_of("mlp")
    inputs = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = attribute(network, inputs.detach(), torch.tensor([0, 1]))
    assert found.method == "saliency"
    assert "no feature map" in found.skipped
    (gradient,) = torch.autograd.grad(network(inputs)[torch.arange(2), torch.tensor([0, 1])].sum(), inputs)
    expected = gradient.abs()[:, 0]
    np.testing.assert_allclose(found.maps, expected / expected.amax(dim=(1, 2), keepdim=True), rtol=1e-5)


def test_map_without_positive_evidence_is_zero_and_not_nan() -> None:
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.ones_(convolution.weight)
    network = nn.Sequential(convolution, nn.Flatten(), nn.Linear(784, 10, bias=False)).eval()
    nn.init.constant_(network[2].weight, -1.0)
    maps = attribute(network, torch.ones(1, 1, 28, 28), torch.tensor([0])).maps
    assert (maps == 0).all()

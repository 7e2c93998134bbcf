"""The networks against hand-computed sizes, torchvision's ResNet and the rules of their options."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn

from shearbench.errors import InputError
from shearbench.models import build, scaled
from shearbench.models.interface import Inputs
from shearbench.torchvision_ops import torchvision


def _build(architecture: str, *, channels: int = 1, width: float = 1.0, **options: Any) -> nn.Module:
    return build(architecture, inputs=Inputs(channels), width=width, options=options, seed=3)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


@pytest.mark.parametrize("channels", [1, 2])
def test_parameter_counts_are_those_worked_out_by_hand(channels: int) -> None:
    mlp = _dense(784 * channels, 512) + _dense(512, 256) + _dense(256, 128) + _dense(128, 10)
    cnn2 = _dense(9 * channels, 32) + _dense(9 * 32, 64) + _dense(7 * 7 * 64, 128) + _dense(128, 10)
    cnn3 = _dense(9 * channels, 32) + _dense(9 * 32, 128) + _dense(9 * 128, 256)
    cnn3 += _dense(3 * 3 * 256, 256) + _dense(256, 10)
    assert _parameters(_build("mlp", channels=channels)) == mlp
    assert _parameters(_build("cnn2", channels=channels)) == cnn2
    assert _parameters(_build("cnn3", channels=channels)) == cnn3


def test_resnet18_has_the_parameters_of_torchvisions() -> None:
    reference = torchvision.models.resnet18(weights=None, num_classes=10)
    three_channels = _parameters(reference)
    assert _parameters(_build("resnet18", channels=3)) == three_channels == 11_181_642
    assert _parameters(_build("resnet18")) == three_channels - 2 * 64 * 7 * 7 == 11_175_370


def test_resnet18_is_torchvisions_network() -> None:
    reference = torchvision.models.resnet18(weights=None, num_classes=10).eval()
    network = _build("resnet18", channels=3).eval()
    network.load_state_dict(reference.state_dict())
    inputs = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(inputs), reference(inputs))


def test_the_momentum_of_resnet18_reaches_every_layer_and_changes_no_weight() -> None:
    slow, default = _build("resnet18", width=0.25, momentum=0.01), _build("resnet18", width=0.25)
    layers = [module for module in slow.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {layer.momentum for layer in layers} == {0.01}
    assert len(layers) == 20
    torch.testing.assert_close(slow.state_dict(), default.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("width", [0.01, 0.3, 1.0])
def test_resnet18_with_group_normalisation_has_the_same_weights_and_no_running_averages(width: float) -> None:
    grouped, default = _build("resnet18", width=width, norm="group"), _build("resnet18", width=width)
    layers = [module for module in grouped.modules() if isinstance(module, nn.GroupNorm)]
    assert {layer.num_groups for layer in layers} == {8}
    assert len(layers) == 20
    torch.testing.assert_close(dict(grouped.named_parameters()), dict(default.named_parameters()), rtol=0, atol=0)
    assert not dict(grouped.named_buffers())
    inputs = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(grouped.train()(inputs), grouped.eval()(inputs))


def test_a_momentum_without_batch_normalisation_is_refused() -> None:
    with pytest.raises(InputError, match="momentum is an option of norm: batch"):
        _build("resnet18", norm="group", momentum=0.01)
    with pytest.raises(InputError, match=r"(?s)options of resnet18.*norm: .*got 'layer'"):
        _build("resnet18", norm="layer")


def test_resnet18_starts_from_torchvisions_distribution() -> None:
    weights = _build("resnet18").get_parameter("layer2.0.conv1.weight")  # (128, 64, 3, 3)
    deviation = (2 / (128 * 9)) ** 0.5  # He et al. 2015: sqrt(2 / fan_out)
    assert weights.std().item() == pytest.approx(deviation, rel=0.01)


def test_maps_are_pooled_to_14_7_and_3() -> None:
    network = _build("cnn3", width=0.25)
    shapes = {}
    for name in ("pool1", "pool2", "pool3"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: shapes.update({name: tuple(output.shape[2:])})
        )
    network(torch.zeros(1, 1, 28, 28))
    assert shapes == {"pool1": (14, 14), "pool2": (7, 7), "pool3": (3, 3)}


@pytest.mark.parametrize(
    ("size", "width", "multiple", "expected"),
    [
        (64, 1.0, 1, 64),
        (64, 0.001, 1, 1),
        (5, 0.5, 1, 3),
        (64, 0.01, 8, 8),
        (64, 0.3, 8, 16),
        (512, 1.5, 8, 768),
    ],
)
def test_sizes_are_rounded_to_a_positive_multiple(size: int, width: float, multiple: int, expected: int) -> None:
    assert scaled(size, width, multiple=multiple) == expected


@pytest.mark.parametrize("dropout", [1.0, -0.1, "half", True])
def test_a_dropout_outside_its_rule_is_named(dropout: object) -> None:
    with pytest.raises(InputError, match=r"(?s)options of cnn2.*dropout: .*got"):
        _build("cnn2", dropout=dropout)


def test_a_dropout_is_taken() -> None:
    dropout = _build("mlp", dropout=0.75).get_submodule("dropout2")
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.75


def test_an_unknown_architecture_is_named_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"one of mlp, cnn2, cnn3, resnet18, or the path of a network .*; got 'vgg'"):
        _build("vgg")


def test_resnet18_does_not_import_torchvision_which_takes_as_long_as_torch() -> None:
    code = "import sys, shearbench.models.resnet18; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reading_the_table_does_not_import_torch() -> None:
    code = "import sys, shearbench.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""One suite over the table of architectures: an entry is tested by being registered."""

from typing import Any

import pytest
import torch
from torch import nn

from shearbench.errors import InputError
from shearbench.models import ARCHITECTURES, build
from shearbench.models.interface import Inputs

pytestmark = pytest.mark.parametrize("architecture", ARCHITECTURES)
COMPARED = {"rtol": 1e-5, "atol": 1e-6}


def _build(architecture: str, *, channels: int = 1, width: float = 0.25, seed: int = 3, **options: Any) -> nn.Module:
    return build(architecture, inputs=Inputs(channels), width=width, options=options, seed=seed)


def _inputs(count: int, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, 28, 28, generator=torch.Generator().manual_seed(1))


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("width", [0.01, 0.25, 1.0])
def test_images_become_ten_logits(architecture: str, channels: int, width: float) -> None:
    logits = _build(architecture, channels=channels, width=width)(_inputs(3, channels))
    assert logits.shape == (3, 10)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("inputs", [Inputs(3, 5, (8, 8)), Inputs(1, 26, (20, 36)), Inputs(4, 100, (65, 64))])
def test_other_images_become_as_many_logits_as_there_are_classes(architecture: str, inputs: Inputs) -> None:
    network = build(architecture, inputs=inputs, width=0.05, options={}, seed=3)
    images = torch.rand(4, *inputs.shape, generator=torch.Generator().manual_seed(1))
    logits = network(images)
    assert logits.shape == (4, inputs.classes)
    nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


def test_weights_come_from_the_seed_alone(architecture: str) -> None:
    first = _build(architecture, seed=7).state_dict()
    torch.rand(5)
    second = _build(architecture, seed=7).state_dict()
    other = _build(architecture, seed=8).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_global_random_state_is_left_alone(architecture: str) -> None:
    before = torch.get_rng_state()
    _build(architecture)
    assert torch.equal(before, torch.get_rng_state())


def test_a_sample_does_not_see_its_batch_in_evaluation(architecture: str) -> None:
    network = _build(architecture).eval()
    inputs = _inputs(4)
    together = network(inputs)
    torch.testing.assert_close(torch.cat([network(one[None]) for one in inputs]), together, **COMPARED)


def test_the_gradient_reaches_every_parameter(architecture: str) -> None:
    network = _build(architecture)
    nn.functional.cross_entropy(network(_inputs(16)), torch.arange(16) % 10).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_state_dict_carries_the_whole_network(architecture: str) -> None:
    network, other = _build(architecture, seed=1), _build(architecture, seed=2)
    network(_inputs(8))  # moves the running statistics, where there are some
    other.load_state_dict(network.state_dict())
    assert torch.equal(network.eval()(_inputs(4)), other.eval()(_inputs(4)))


def test_width_changes_the_number_of_parameters(architecture: str) -> None:
    counts = [_parameters(_build(architecture, width=width)) for width in (0.25, 0.5, 1.0)]
    assert counts[0] < counts[1] < counts[2]


def test_it_exports_with_any_batch_size(architecture: str) -> None:
    network = _build(architecture).eval()
    program = torch.export.export(
        network, (_inputs(2),), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},)
    )
    inputs = _inputs(5)
    torch.testing.assert_close(program.module()(inputs), network(inputs), **COMPARED)


def test_an_unknown_option_is_named_with_those_there_are(architecture: str) -> None:
    message = rf"(?s)options of {architecture}.*takes: .*drop_out: is not an option"
    with pytest.raises(InputError, match=message):
        _build(architecture, drop_out=0.1)

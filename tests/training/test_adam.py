"""Our Adam is torch's, bit for bit; its state comes back whole; and it costs no compiler."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.training.hardware import Hardware
from shearbench.training.optimiser import Adam, _in_order_of_memory
from shearbench.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch=2, learning_rate=0.01, weight_decay=0.1)


def _network() -> nn.Module:
    return Hardware().place(build("cnn2", inputs=Inputs(2), width=0.1, options={"dropout": 0}, seed=1))


def _step(network: nn.Module, optimiser: Adam | torch.optim.Adam, number: int, *rate: float) -> None:
    inputs = torch.rand(8, 2, 28, 28, generator=torch.Generator().manual_seed(number))
    optimiser.zero_grad()
    nn.functional.cross_entropy(network(inputs), torch.arange(8)).backward()
    optimiser.step(*rate)


def _assert_same(network: nn.Module, other: nn.Module) -> None:
    for (name, one), two in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_the_steps_are_those_of_torch() -> None:
    ours, theirs = _network(), _network()
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True)
    adam = Adam(ours, RECIPE)
    for number in range(5):
        _step(ours, adam, number, 0.01)
        _step(theirs, reference, number)
    _assert_same(ours, theirs)
    assert not torch.equal(next(ours.parameters()), next(_network().parameters()))


def test_a_restored_state_goes_on_with_the_same_steps() -> None:
    network, other = _network(), _network()
    adam = Adam(network, RECIPE)
    _step(network, adam, 0, 0.01)
    other.load_state_dict(network.state_dict())
    restored = Adam(other, RECIPE)
    restored.restore({name: value.contiguous() for name, value in adam.state().items()})  # as a file holds them
    _step(network, adam, 1, 0.01)
    _step(other, restored, 1, 0.01)
    _assert_same(network, other)


def test_a_state_of_another_network_is_our_own_mistake() -> None:
    adam = Adam(_network(), RECIPE)
    with pytest.raises(AssertionError, match="another network"):
        adam.restore({"first.other": torch.zeros(1)})


def test_training_does_not_import_the_compiler() -> None:
    code = """
import sys, torch
from shearbench.training.optimiser import Adam
from shearbench.training.recipe import Recipe
network = torch.nn.Linear(2, 2)
adam = Adam(network, Recipe(epochs=1, batch=2, learning_rate=0.01, weight_decay=0.1))
network(torch.ones(1, 2)).sum().backward()
adam.step(0.01)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("dims", [(1, 0), (2, 0, 1), (0, 2, 3, 1), (4, 2, 0, 1, 3)])
def test_a_dense_parameter_of_any_layout_is_seen_in_the_order_of_its_memory(dims: tuple[int, ...]) -> None:
    stored = torch.randn(*range(2, 2 + len(dims)))
    assert stored.permute(dims).is_contiguous() is False
    (seen,) = _in_order_of_memory([stored.permute(dims)])
    assert seen.is_contiguous()
    assert torch.equal(seen, stored)

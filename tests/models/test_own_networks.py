"""A network of a user's own is named in params.yaml, held to the contract, and its source is part of the code hash."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from shearbench.errors import InputError
from shearbench.models import build, check
from shearbench.models.interface import Inputs, is_own

GOOD = """
from torch import nn

class Net(nn.Module):
    def __init__(self, channels: int, width: float, units: int = 16):
        super().__init__()
        units = int(units * width)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, units), nn.Linear(units, 10))

    def forward(self, images):
        return self.layers(images)

def fixed(channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, 10))

def wide_open(channels, **rest):
    return fixed(channels)

def without_channels(width):
    return fixed(1)

def any_size(channels, classes, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * size[0] * size[1], classes))

def five(channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, 5))

def colour_only(channels):
    return nn.Conv2d(3, 10, 28)

def no_network(channels):
    return "a network"

def unseeded(channels):
    import numpy, torch
    network = fixed(channels)
    network[1].bias.data = torch.from_numpy(numpy.random.rand(10)).float()
    return network

number = 3
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``mine`` of two modules, and modules that cannot be imported, where Python finds them."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("from mine.nets import Net\n")
    (folder / "nets.py").write_text(GOOD)
    (tmp_path / "wants_more.py").write_text("import a_module_that_nobody_has\n")
    (tmp_path / "wrong.py").write_text("def Net(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] in ("mine", "wants_more", "wrong")]:
        del sys.modules[name]


def _build(architecture: str, *, channels: int = 2, width: float = 1.0, seed: int = 1, **options: Any) -> Any:
    return build(architecture, inputs=Inputs(channels), width=width, options=options, seed=seed)


@pytest.mark.parametrize("architecture", ["mine.Net", "mine.nets.Net", "mine.nets.fixed", "mine.nets.wide_open"])
def test_a_class_or_a_function_is_built_like_one_of_ours(architecture: str) -> None:
    before = torch.get_rng_state()
    network, again, other = _build(architecture), _build(architecture), _build(architecture, seed=2)
    assert torch.equal(before, torch.get_rng_state())
    assert network.training
    assert network(torch.zeros(3, 2, 28, 28)).shape == (3, 10)
    weights = [next(iter(each.parameters())) for each in (network, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    check(architecture, inputs=Inputs(2), width=1.0, options={})


def test_one_that_takes_classes_and_size_is_for_all_images_and_one_that_does_not_for_those_it_fits() -> None:
    letters = Inputs(3, classes=26, size=(20, 36))
    network = build("mine.nets.any_size", inputs=letters, width=1.0, options={}, seed=1)
    assert network(torch.zeros(2, 3, 20, 36)).shape == (2, 26)
    with pytest.raises(InputError, match=r"predicting inputs \(2, 3, 20, 36\) fails: .*take `classes` and `size`"):
        build("mine.nets.fixed", inputs=letters, width=1.0, options={}, seed=1)
    with pytest.raises(InputError, match=r"give logits \(2, 26\) .*; it gives \(2, 10\); let it take `classes`"):
        build("mine.nets.fixed", inputs=Inputs(2, classes=26), width=1.0, options={}, seed=1)


def test_width_and_options_arrive(package: Path) -> None:
    assert _build("mine.Net", width=0.5, units=8).layers[1].out_features == 4


@pytest.mark.parametrize(
    ("architecture", "arguments", "message"),
    [
        ("nobody.Net", {}, r"there is no module nobody; put it into networks/ or install it"),
        ("mine.other.Net", {}, r"there is no module mine\.other; put it"),
        ("wants_more.Net", {}, r"importing wants_more fails: .*No module named 'a_module_that_nobody_has' .*; install"),
        ("wrong.Net", {}, r"importing wrong fails: .*wrong\.py, line 1\); mend"),
        ("mine.nets.Nett", {}, r"none called 'Nett'; it has: Net, fixed, wide_open,"),
        ("builtins.Nett", {}, r"builtins has none called 'Nett'"),  # a module in C has no file
        ("torchvision.models.resnett34", {}, r"has none called 'resnett34'; it has: resnet34, "),
        ("mine.nets.number", {}, r"must name a class or function"),
        ("mine.nets.without_channels", {}, r"must take `channels`"),
        ("mine.nets.fixed", {"width": 0.5}, r"takes no `width`, so that its width must be 1 in params.yaml; got 0.5"),
        ("mine.nets.five", {}, r"must give logits \(2, 10\) for inputs \(2, 2, 28, 28\); it gives \(2, 5\)"),
        ("mine.nets.colour_only", {}, r"predicting inputs \(2, 2, 28, 28\) fails: RuntimeError: .*3 channels"),
        ("mine.nets.no_network", {}, r"must give a torch.nn.Module; it gives a str"),
        ("mine.Net", {"depth": 3}, r"(?s)options of mine\.Net.*takes: units.*depth: is not an option"),
        ("mine.Net", {"units": "many"}, r"(?s)units: Input should be a valid integer; got 'many'"),
        ("no_dot", {}, r"must be one of mlp, .*resnet18, or the path of a network or classifier, .*; got 'no_dot'"),
    ],
)
def test_what_is_wrong_is_said_with_the_next_step(architecture: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _build(architecture, **arguments)


def test_weights_that_are_not_of_the_seed_are_found_out() -> None:
    with pytest.raises(InputError, match=r"other weights each time .*: 1\.bias; draw them with torch"):
        check("mine.nets.unseeded", inputs=Inputs(1), width=1.0, options={})


def test_a_name_with_a_dot_is_own() -> None:
    assert is_own("my_package.Net")
    assert is_own("a.b.C")
    assert not any(map(is_own, ("cnn3", "a.", ".b", "a..b", "a.b-c", "a/b.c", "1a.b")))

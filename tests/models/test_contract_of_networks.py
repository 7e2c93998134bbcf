"""``check`` does to a network what training will: each fault is found before any training, in one sentence."""

import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from shearbench.code import TRAINING, closure
from shearbench.errors import InputError
from shearbench.models import build, check
from shearbench.models.contract import restored
from shearbench.models.interface import Inputs

GOOD = """
import sys
import torch
from torch import nn
from torch.nn import functional

def good(channels):
    first = nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, 16), nn.BatchNorm1d(16))
    return nn.Sequential(first, nn.Dropout(0.5), nn.Linear(16, 10))

class Base(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.flat = nn.Flatten()
        self.dense = nn.Linear(784 * channels, 10)

    def forward(self, images):
        return self.dense(self.flat(images))

class NoSuper(nn.Module):
    def __init__(self, channels):
        self.dense = nn.Linear(784 * channels, 10)

class Missing(Base):
    def forward(self, images):
        return einops.rearrange(images)

class Asserts(Base):
    def forward(self, images):
        assert images.shape[-1] == 32, "I want 32"
        return super().forward(images)

class Softmax(Base):
    def forward(self, images):
        return super().forward(images).softmax(dim=1)

class AlwaysDrops(Base):
    def forward(self, images):
        return functional.dropout(super().forward(images), 0.5)

class OddOne(Base):
    class Strange(Exception):
        pass

    def forward(self, images):
        raise self.Strange("of my own")

class Leaves(Base):
    def __init__(self, channels):
        super().__init__(channels)
        sys.exit(0)

class Unused(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.spare = nn.Linear(3, 3)

class Frozen(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.dense.weight.requires_grad_(False)

class NoParameters(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, images):
        return images.flatten(1)[:, :10]

class Complex(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.phase = nn.Parameter(torch.zeros(3, dtype=torch.complex64))

class BatchStatistics(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.norm = nn.BatchNorm2d(channels, track_running_stats=False)

    def forward(self, images):
        return super().forward(self.norm(images))

class OnlyLargeBatches(Base):
    def forward(self, images):
        if self.training and len(images) < 4:
            raise ValueError("give me more")
        return super().forward(images)

class TwoOutputs(Base):
    def forward(self, images):
        logits = super().forward(images)
        return (logits, logits) if self.training else logits

class Hidden(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.shift = torch.rand(10)

    def forward(self, images):
        return super().forward(images) + self.shift

class Tied(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.other = nn.Linear(784 * channels, 10)
        self.other.weight = self.dense.weight
        self.other.bias = self.dense.bias

class Endless(Base):
    def forward(self, images):
        return super().forward(images) / 0

class Counts(Base):
    def __init__(self, channels):
        super().__init__(channels)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images):
        self.seen += 1
        return super().forward(images)

class Double(Base):
    def __init__(self, channels):
        torch.set_default_dtype(torch.float64)
        torch.backends.mkldnn.set_flags(False)
        super().__init__(channels)
        self.float()

class Precise(Base):
    def forward(self, images):
        torch.set_float32_matmul_precision("medium")
        return super().forward(images)

class Coarse(Base):
    def __init__(self, channels):
        super().__init__(channels)
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        torch.set_flush_denormal(True)

class Wide(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        units = int(512 * width)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, units), nn.Linear(units, 10))

    def forward(self, images):
        return self.net(images)
"""


@pytest.fixture(autouse=True)
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with ``networks/`` that Python finds last, as the command line has it."""
    folder = tmp_path / "networks"
    folder.mkdir()
    (folder / "contract_nets.py").write_text(GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    yield folder
    for name in [name for name in sys.modules if name.startswith("contract_")]:
        del sys.modules[name]


def _check(name: str, width: float = 1.0) -> None:
    check(f"contract_nets.{name}", inputs=Inputs(1), width=width, options={})


@pytest.mark.parametrize("name", ["good", "Base"])
def test_a_network_that_can_be_trained_passes(name: str) -> None:
    before = torch.get_rng_state()
    _check(name)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("architecture", ["mlp", "resnet18"])
def test_ours_pass_too(architecture: str) -> None:
    check(architecture, inputs=Inputs(2), width=0.25, options={})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoSuper", r"AttributeError: .*\(contract_nets\.py, line 22\); call super\(\)\.__init__\(\) first"),
        (
            "Missing",
            r"predicting inputs \(2, 1, 28, 28\) fails: NameError: .*'einops'.* \(contract_nets\.py, line 26\)",
        ),
        ("Asserts", r"AssertionError: I want 32 \(contract_nets\.py, line 30\)"),
        ("OddOne", r"Strange: of my own"),
        ("Leaves", r"building it fails: SystemExit: 0 \(contract_nets\.py"),
        ("Softmax", r"gives probabilities, and its loss takes logits: .*remove its softmax"),
        ("AlwaysDrops", r"gives other logits each time in evaluation mode; is dropout on\?"),
        ("Unused", r"parameters that its logits do not depend on: spare\.weight, spare\.bias; remove them"),
        ("Frozen", r"frozen parameters, which no step can move: dense\.weight; use register_buffer"),
        ("NoParameters", r"has no parameters, so nothing can be trained"),
        ("Complex", r"must have parameters of float32; phase is torch\.complex64"),
        ("BatchStatistics", r"other logits alone than beside others in evaluation mode; batch norm must"),
        ("OnlyLargeBatches", r"a training step fails: ValueError: give me more"),
        ("TwoOutputs", r"must give logits \(8, 10\) in training mode too; it gives tuple"),
        ("Hidden", r"other logits after its weights were saved and loaded: .*register_buffer"),
        ("Tied", r"saving and loading its weights fails: RuntimeError"),
        ("Endless", r"gives values that are not finite in its first step"),
        ("Counts", r"changes seen while it is evaluated"),
        ("Double", r"changes the default dtype, backends\.mkldnn\.enabled of torch for the whole process"),
        ("Precise", r"changes the precision of matrix products, the precision of float32 of torch for the whole proc"),
        ("Coarse", r"changes the precision of matrix products, the precision of float32, denormal numbers of torch"),
    ],
)
def test_each_fault_is_one_sentence(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _check(name)
    assert torch.get_default_dtype() == torch.float32


STORED = """
from pathlib import Path
from safetensors.torch import load_file
from torch import nn

def Net(channels):
    network = nn.Sequential(nn.Flatten(), nn.Linear(784 * channels, 10))
    network[1].load_state_dict(load_file(Path(__file__).with_name("stored.safetensors")))
    return network
"""


def test_weights_from_a_file_are_loaded_without_a_warning_and_are_code_of_the_network(networks: Path) -> None:
    stored = nn.Linear(784, 10).state_dict()
    save_file(stored, networks / "stored.safetensors")
    (networks / "contract_stored.py").write_text(STORED)
    with warnings.catch_warnings(record=True, action="always") as seen:
        check("contract_stored.Net", inputs=Inputs(1), width=1.0, options={})
    assert not seen
    network = build("contract_stored.Net", inputs=Inputs(1), width=1.0, options={}, seed=1)
    assert torch.equal(network.state_dict()["1.weight"], stored["weight"])
    assert "stored.safetensors" in closure(TRAINING, ["contract_stored.Net"])


@pytest.mark.parametrize(("architecture", "channels"), [("contract_nets.Wide", 1), ("mlp", 1), ("resnet18", 2)])
def test_a_width_beyond_memory_is_refused_with_both_numbers(architecture: str, channels: int) -> None:
    with pytest.raises(
        InputError, match=r"parameters or more, which take [0-9,]+ GB in training; this machine has [0-9,]+ GB"
    ):
        check(architecture, inputs=Inputs(channels), width=1e6, options={})


def test_a_module_that_another_one_hides_is_named(networks: Path) -> None:
    (networks / "test.py").write_text(GOOD)
    with pytest.raises(InputError, match=r"networks/test\.py is hidden by .*test/__init__\.py, .*give it another name"):
        check("test.good", inputs=Inputs(1), width=1.0, options={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "import sys\nsys.exit(3)\n",
            r"importing contract_bad fails: SystemExit: 3 \(contract_bad\.py, line 2\); mend",
        ),
        ("1 / 0\n", r"importing contract_bad fails: ZeroDivisionError: division by zero \(contract_bad\.py, line 1\)"),
        ("def f(:\n", r"importing contract_bad fails: SyntaxError: .*contract_bad\.py, line 1"),
        ("import nobody_has_this\n", r"No module named 'nobody_has_this'.*; install that module"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(networks: Path, text: str, message: str) -> None:
    (networks / "contract_bad.py").write_text(text)
    with pytest.raises(InputError, match=message):
        check("contract_bad.Net", inputs=Inputs(1), width=1.0, options={})


def test_what_a_network_does_to_torch_ends_with_it() -> None:
    ours = build("mlp", inputs=Inputs(1), width=0.1, options={}, seed=1).state_dict()
    convolution, image = torch.nn.Conv2d(16, 8, 3), torch.randn(4, 16, 28, 28)
    convolved = convolution(image)
    for name in ("Double", "Coarse"):
        build(f"contract_nets.{name}", inputs=Inputs(1), width=1.0, options={}, seed=1)
        assert torch.equal(convolution(image), convolved)
        assert torch.full((1,), 1e-40) * 1 > 0
    after = build("mlp", inputs=Inputs(1), width=0.1, options={}, seed=1).state_dict()
    assert all(torch.equal(ours[name], after[name]) for name in ours)
    assert torch.backends.mkldnn.enabled


def test_settings_are_restored_and_named() -> None:
    with restored() as changed:
        torch.use_deterministic_algorithms(True)
        torch.set_grad_enabled(False)
        torch.set_num_threads(torch.get_num_threads() + 1)
    assert changed == ["gradients", "deterministic algorithms", "the number of threads"]
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()


ADAPTED = [
    ("torchvision.models.mobilenet_v3_small", 2, {}),
    ("torchvision.models.resnet18", 1, {}),
    ("torchvision.models.squeezenet1_1", 4, {"resize": 32}),
    ("torchvision.models.vit_b_16", 3, {"resize": 32, "image_size": 32}),
]


@pytest.mark.parametrize(("architecture", "channels", "options"), ADAPTED[:3])
def test_networks_of_torchvision_take_any_channels(architecture: str, channels: int, options: dict[str, int]) -> None:
    network, again = (
        build(architecture, inputs=Inputs(channels), width=1.0, options=options, seed=1) for _ in range(2)
    )
    assert all(map(torch.equal, network.state_dict().values(), again.state_dict().values()))
    assert network(torch.zeros(4, channels, 28, 28)).shape == (4, 10)
    first = next(each for each in network.modules() if isinstance(each, torch.nn.Conv2d))
    assert first.in_channels == channels


def test_a_network_of_torchvision_keeps_its_first_layer_for_three_channels() -> None:
    from shearbench.torchvision_ops import torchvision

    adapted = build("torchvision.models.resnet18", inputs=Inputs(3), width=1.0, options={}, seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = torchvision.models.resnet18(num_classes=10)
    assert all(map(torch.equal, adapted.state_dict().values(), theirs.state_dict().values()))


def test_a_network_of_torchvision_can_be_trained() -> None:
    check("torchvision.models.mobilenet_v3_small", inputs=Inputs(1), width=1.0, options={})


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
@pytest.mark.parametrize(
    ("architecture", "options", "inputs"),
    [
        ("timm.models.resnet.resnet10t", {}, Inputs(3, 5, (64, 64))),
        ("timm.models.vision_transformer.vit_tiny_patch16_224", {"img_size": 28, "patch_size": 7}, Inputs(2)),
    ],
)
def test_a_network_of_timm_can_be_trained(architecture: str, options: dict[str, object], inputs: Inputs) -> None:
    check(architecture, inputs=inputs, width=1.0, options=options)


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_a_network_of_timm_without_timm_is_refused() -> None:
    with pytest.raises(InputError, match=r"no module timm; put it into networks/ or install it"):
        build("timm.models.resnet.resnet18", inputs=Inputs(1), width=1.0, options={}, seed=1)


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("torchvision.models.vgg11", {}, r"predicting inputs .* fails: .*add .*resize"),
        ("torchvision.models.resnet18", {"weights": "DEFAULT"}, r"weights must not be given; its weights are random"),
        ("torchvision.models.resnet18", {"resize": "big"}, r"resize must be a positive number of pixels; got 'big'"),
        ("torchvision.models.resnet18", {"depth": 3}, r"building it fails: TypeError: .*depth"),
        ("torchvision.models.resnet19", {}, r"none called 'resnet19'"),
        ("torchvision.models.nowhere.net", {}, r"no module torchvision\.models\.nowhere"),
    ],
)
def test_what_is_wrong_with_an_adapted_network_is_said(
    architecture: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        build(architecture, inputs=Inputs(1), width=1.0, options=options, seed=1)

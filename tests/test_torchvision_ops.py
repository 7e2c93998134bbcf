"""torchvision must import beside a torch whose build it does not match, and stay untouched where it does."""

import subprocess
import sys

import pytest
import torch

from shearbench import torchvision_ops
from shearbench.torchvision_ops import torchvision


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_models_and_transforms_work() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4)
    assert torch.equal(torchvision.transforms.functional.hflip(image), image.flip(-1))
    assert torchvision.models.resnet18(weights=None).eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def test_a_plain_import_elsewhere_works_afterwards() -> None:
    run = _run("import shearbench.torchvision_ops; from torchvision.transforms import RandomAffine")
    assert run.returncode == 0, run.stderr


def test_an_operator_that_is_only_declared_raises_when_called() -> None:
    if torchvision_ops._library is None:
        pytest.skip("the compiled operators load here, so none had to be declared")
    with pytest.raises(RuntimeError, match="custom C\\+\\+ ops"):
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_nothing_is_declared_where_the_compiled_operators_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "load_library", lambda path: None)
    assert torchvision_ops._declare_missing_ops() is None


def test_an_absent_torchvision_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_ops.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="torchvision is not installed"):
        torchvision_ops._declare_missing_ops()

"""Device and precision are settled once, and asking for what is not there is refused."""

import pytest
import torch

from shearbench.errors import InputError
from shearbench.training import hardware
from shearbench.training.hardware import Hardware, instructions, naming_the_batch, resolve


def _machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, capabilities: dict[str, bool]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: capabilities.get("avx512_bf16", False))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: capabilities.get("amx", False))


@pytest.mark.parametrize(
    ("cuda", "capabilities", "asked", "expected"),
    [
        (False, {}, ("auto", "auto"), Hardware("cpu", "fp32")),
        (False, {"avx512_bf16": True}, ("auto", "auto"), Hardware("cpu", "bf16")),
        (False, {"avx512_bf16": False, "amx": True}, ("cpu", "auto"), Hardware("cpu", "bf16")),
        (False, {"avx512_bf16": True}, ("auto", "fp32"), Hardware("cpu", "fp32")),
        (False, {}, ("cpu", "bf16"), Hardware("cpu", "bf16")),
        (True, {}, ("auto", "auto"), Hardware("cuda", "bf16")),
        (True, {}, ("cpu", "auto"), Hardware("cpu", "fp32")),
        (True, {}, ("cuda", "fp32"), Hardware("cuda", "fp32")),
    ],
)
def test_auto_is_what_the_machine_has(
    cuda: bool,
    capabilities: dict[str, bool],
    asked: tuple[str, str],
    expected: Hardware,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _machine(monkeypatch, cuda=cuda, capabilities=capabilities)
    assert resolve(*asked) == expected  # type: ignore[arg-type]


def test_cuda_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch, cuda=False, capabilities={})
    with pytest.raises(InputError, match=r"execution\.device is cuda, but torch finds no CUDA device"):
        resolve("cuda", "auto")


def test_this_machine_has_an_answer() -> None:
    assert resolve("auto", "auto").precision in ("fp32", "bf16")


def test_convolutions_are_placed_channels_last_with_their_values() -> None:
    network = torch.nn.Conv2d(3, 4, 3)
    weight = network.weight.detach().clone()
    assert Hardware().place(network) is network
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(network.weight, weight)


def test_convolutions_of_one_channel_put_out_channels_last() -> None:
    network = Hardware().place(torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU()))
    assert network(torch.zeros(2, 1, 28, 28)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_memory_errors_of_any_sort_name_the_batch(error: Exception) -> None:
    with pytest.raises(InputError, match="out of memory with batches of 7"), naming_the_batch(7):
        raise error


def test_the_units_that_round_otherwise_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 a processor with AMX gives other bits than one without it, though torch calls both AVX512."""
    # Of a machine that plays an older one.
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    texts = set()
    for capabilities in ({}, {"avx512_bf16": True}, {"avx512_bf16": True, "amx": True}):
        _machine(monkeypatch, cuda=False, capabilities=capabilities)
        texts.add(instructions())
    monkeypatch.setattr(hardware, "processor", lambda: "Another(R) Maker 7000")
    assert instructions().startswith("Another ")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert instructions().endswith(" (OPENBLAS_CORETYPE=Haswell)")
    assert len(texts) == 3

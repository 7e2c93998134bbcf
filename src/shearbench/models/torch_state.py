"""Torch's global settings. A network that changes one would change the results of later models in the process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from shearbench.errors import InputError


def _flag(owner: Any, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


_BACKENDS: Any = torch.backends
_OF_FLOAT32 = (  # parents before children, which inherit from them
    *(_BACKENDS, _BACKENDS.mkldnn, _BACKENDS.cudnn, _BACKENDS.mkldnn.conv, _BACKENDS.mkldnn.matmul),
    *(_BACKENDS.mkldnn.rnn, _BACKENDS.cuda.matmul, _BACKENDS.cudnn.conv, _BACKENDS.cudnn.rnn),
)


def _matmul_precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # raised if backends differ
        return "mixed"


def _set_precisions(values: list[str]) -> None:
    for owner, value in zip(_OF_FLOAT32, values, strict=True):
        owner.fp32_precision = value


def _flushes_denormals() -> bool:
    return not bool(torch.full((1,), 1e-40) * 1 > 0)  # torch has no function for this


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    "deterministic algorithms": (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms),
    "the precision of matrix products": (_matmul_precision, torch.set_float32_matmul_precision),
    "the precision of float32": (lambda: [owner.fp32_precision for owner in _OF_FLOAT32], _set_precisions),
    "denormal numbers": (_flushes_denormals, torch.set_flush_denormal),
    "the number of threads": (torch.get_num_threads, torch.set_num_threads),
    "autocast on the CPU": (
        lambda: torch.is_autocast_enabled("cpu"),
        lambda value: torch.set_autocast_enabled("cpu", value),
    ),
    "backends.mkldnn.enabled": (lambda: torch.backends.mkldnn.enabled, torch._C._set_mkldnn_enabled),
    "backends.cudnn.enabled": _flag(torch.backends.cudnn, "enabled"),
    "backends.cudnn.benchmark": _flag(torch.backends.cudnn, "benchmark"),
    "backends.cudnn.deterministic": _flag(torch.backends.cudnn, "deterministic"),
    "backends.cudnn.allow_tf32": _flag(torch.backends.cudnn, "allow_tf32"),
}


@contextmanager
def restored() -> Iterator[list[str]]:
    """Restore every setting after the block; the yielded list then names the changed ones."""
    before = {name: get() for name, (get, _) in _SETTINGS.items()}
    changed: list[str] = []
    try:
        yield changed
    finally:
        for name, (get, put) in _SETTINGS.items():
            if get() != before[name]:
                put(before[name])
                changed.append(name)


@contextmanager
def unchanged(architecture: str) -> Iterator[None]:
    """Raise InputError with the names of the settings that the block changes."""
    with restored() as changed:
        yield
    if changed:
        raise InputError(
            f"{architecture} changes {', '.join(changed)} of torch for the whole process, so that other models would "
            "get other numbers; remove that from its code"
        )

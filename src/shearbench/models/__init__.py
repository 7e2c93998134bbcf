"""The networks: one file each, and this table. ``build`` is how every other part obtains one.

Adding a network is one new file with a function ``build(channels, width, **options) -> nn.Module`` for
inputs (n, channels, 28, 28), and one line below. The annotations of its options are their rules.
The table holds paths, not functions, so that reading ``params.yaml`` does not import torch.
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError, validate_call

from shearbench.errors import InputError

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {
    "mlp": "shearbench.models.mlp",
    "cnn2": "shearbench.models.cnn2",
    "cnn3": "shearbench.models.cnn3",
    "resnet18": "shearbench.models.resnet18",
}

CLASSES = 10


def build(architecture: str, *, channels: int, width: float, options: Mapping[str, Any], seed: int) -> "nn.Module":
    """Return a network with weights drawn from ``seed``, in training mode, on the CPU.

    The network maps (n, channels, 28, 28) to logits (n, 10). ``width`` multiplies the units or channels of
    its hidden layers. The global random state is left as it was.

    Raises:
        InputError: if the architecture is unknown, or an option is unknown to it or breaks its rule.
    """
    import torch  # here, so that the table above costs its readers nothing

    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"models.*.architecture must be one of {known}; got {architecture!r}")
    builder = import_module(ARCHITECTURES[architecture]).build
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            network: nn.Module = _checked(builder)(channels, width, **options)
        except ValidationError as error:
            raise InputError(_faults(architecture, builder, error)) from None
    return network


def scaled(size: int, width: float, *, multiple: int = 1) -> int:
    """Return ``size * width`` rounded (halves up) to a positive multiple of ``multiple``."""
    return max(1, int(size * width / multiple + 0.5)) * multiple


def _checked(builder: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``builder`` with its arguments held to its annotations."""
    return validate_call(config=ConfigDict(strict=True))(builder)


def _faults(architecture: str, builder: Callable[..., Any], error: ValidationError) -> str:
    allowed = [name for name in inspect.signature(builder).parameters if name not in ("channels", "width")]
    text = ", ".join(allowed) if allowed else "none"
    lines = [f"the options of {architecture} (params.yaml, models.*.options) have a fault; it takes: {text}"]
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        unknown = fault["type"] == "unexpected_keyword_argument"
        rule = "is not an option; remove or correct it" if unknown else fault["msg"]
        lines.append(f"- {name}: {rule}; got {fault['input']!r}")
    return "\n".join(lines)

"""The networks: one file each, and this table. ``build`` is how every other part obtains one.

Adding a network is one new file with a function ``build(channels, classes, size, width, **options) -> nn.Module`` for
inputs (n, channels, height, width) of ``size`` (height, width), and one line below. The annotations
of its options are their rules. The table holds paths, not functions, so that reading ``params.yaml`` does not import
torch. What is not in the table may be a network of the user's own (``own.py``).
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError, validate_call

from shearbench.errors import InputError
from shearbench.models import own
from shearbench.models.inputs import GIVEN, Inputs

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {
    "mlp": "shearbench.models.mlp",
    "cnn2": "shearbench.models.cnn2",
    "cnn3": "shearbench.models.cnn3",
    "resnet18": "shearbench.models.resnet18",
}

RULE = f"must be one of {', '.join(ARCHITECTURES)}, or a network of your own, as my_package.Net"
"""What ``architecture`` in ``params.yaml`` must be."""


def build(architecture: str, *, inputs: Inputs, width: float, options: Mapping[str, Any], seed: int) -> "nn.Module":
    """Return a network with weights drawn from ``seed``, in training mode, on the CPU.

    The network maps ``inputs`` to logits (n, classes). ``width`` multiplies the units or channels of its hidden layers.
    The global random state is left as it was.

    Raises:
        InputError: if the architecture is unknown, or an option is unknown to it or breaks its rule; for a network
            of the user's own also where it is not what a network must be.
    """
    import torch  # here, so that the table above costs its readers nothing

    builder = _builder(architecture)
    arguments = own.arguments(builder, architecture, inputs, width=width)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            network: nn.Module = _checked(builder)(**arguments, **options)
        except ValidationError as error:
            raise InputError(_faults(architecture, builder, error)) from None
        if architecture not in ARCHITECTURES:
            own.hold_to_contract(network, architecture, inputs)
    return network


def check(architecture: str, *, inputs: Inputs, width: float, options: Mapping[str, Any]) -> None:
    """Build a network twice from one seed.

    Raises:
        InputError: where :func:`build` does, or if the two differ: nothing else than torch's random numbers may
            decide the weights.
    """
    first, second = (
        build(architecture, inputs=inputs, width=width, options=options, seed=0).state_dict() for _ in range(2)
    )
    different = [name for name in first if not first[name].equal(second[name])]
    if different:
        raise InputError(
            f"{architecture} has other weights each time it is built from one seed: {', '.join(different)}; "
            "draw them with torch's random numbers, from its global generator"
        )


def scaled(size: int, width: float, *, multiple: int = 1) -> int:
    """Return ``size * width`` rounded (halves up) to a positive multiple of ``multiple``."""
    return max(1, int(size * width / multiple + 0.5)) * multiple


def _builder(architecture: str) -> Callable[..., Any]:
    if architecture in ARCHITECTURES:
        builder: Callable[..., Any] = import_module(ARCHITECTURES[architecture]).build
        return builder
    if own.is_own(architecture):
        return own.find(architecture)
    raise InputError(f"models.*.architecture {RULE}; got {architecture!r}")


def _checked(builder: Any) -> Callable[..., Any]:
    """Return ``builder`` with its arguments held to its annotations; a class is held to those of its ``__init__``."""
    strict = validate_call(config=ConfigDict(strict=True, arbitrary_types_allowed=True))
    if not inspect.isclass(builder):
        checked: Callable[..., Any] = strict(builder)
        return checked
    initialise = strict(builder.__init__)

    def make(**arguments: Any) -> Any:
        made: Any = builder.__new__(builder)
        initialise(made, **arguments)
        return made

    return make


def _faults(architecture: str, builder: Callable[..., Any], error: ValidationError) -> str:
    allowed = [name for name in inspect.signature(builder).parameters if name not in GIVEN]
    text = ", ".join(allowed) if allowed else "none"
    lines = [f"the options of {architecture} (params.yaml, models.*.options) have a fault; it takes: {text}"]
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        unknown = fault["type"] == "unexpected_keyword_argument"
        rule = "is not an option; remove or correct it" if unknown else fault["msg"]
        lines.append(f"- {name}: {rule}; got {fault['input']!r}")
    return "\n".join(lines)

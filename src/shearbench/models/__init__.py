"""The table of networks, with one file per network. All other modules make networks with ``build``.

Adding a network is one new file with a function ``build(channels, classes, size, width, **options) -> nn.Module`` for
inputs (n, channels, height, width) of ``size`` (height, width), and one line below. The annotations of options are
their rules. The table holds paths, so that reading ``params.yaml`` does not import torch. Other names are a user's
network (``interface.py``), or a classifier of scikit-learn (``classical.py``).
"""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, ValidationError, validate_call

from shearbench.errors import InputError
from shearbench.models import interface
from shearbench.models.interface import GIVEN, Inputs

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES = {
    "mlp": "shearbench.models.mlp",
    "cnn2": "shearbench.models.cnn2",
    "cnn3": "shearbench.models.cnn3",
    "resnet18": "shearbench.models.resnet18",
}

RULE = (
    f"must be one of {', '.join(ARCHITECTURES)}, or the path of a network or classifier, as my_package.Net or "
    "sklearn.svm.SVC"
)
"""The rule for ``architecture`` in ``params.yaml``."""


def build(architecture: str, *, inputs: Inputs, width: float, options: Mapping[str, Any], seed: int) -> "nn.Module":
    """Return a network with weights drawn from ``seed``, in training mode, on the CPU.

    The network maps ``inputs`` to logits (n, classes). ``width`` multiplies the units or channels of its hidden layers.
    The global random state and torch's settings are unchanged.

    Raises:
        InputError: if the architecture is unknown, if an option is unknown or invalid, or if a user's own network
            violates the contract.
    """
    import torch  # here, because torch is slow to import

    from shearbench.models import contract

    with contract.restored(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = _made(architecture, inputs=inputs, width=width, options=options)
        if architecture not in ARCHITECTURES:
            hint = interface.ENLARGE if interface.is_adapted(architecture) else interface.TAKE
            contract.check_logits(network, architecture, inputs, hint=hint)
    return network


def check(architecture: str, *, inputs: Inputs, width: float, options: Mapping[str, Any]) -> None:
    """Check a network against its contract before any training; see :mod:`shearbench.models.contract`.

    Raises:
        InputError: in the cases of :func:`build`; if the network needs more memory than the machine has; or if two
            networks from one seed differ, because only torch's random numbers may decide the weights.
    """
    import torch

    from shearbench.models import contract

    def built(seed: int) -> "nn.Module":
        return build(architecture, inputs=inputs, width=width, options=options, seed=seed)

    with torch.random.fork_rng(devices=[]):
        with contract.unchanged(architecture):
            contract.refuse_too_large(
                lambda: _made(architecture, inputs=inputs, width=width, options=options), architecture
            )
        first, second = (built(0).state_dict() for _ in range(2))
        different = [name for name in first if not first[name].equal(second[name])]
        if different:
            raise InputError(
                f"{architecture} has other weights each time it is built from one seed: {', '.join(different)}; "
                "draw them with torch's random numbers, from its global generator"
            )
        if architecture not in ARCHITECTURES:
            with contract.unchanged(architecture):
                contract.check(built(0), built(1), architecture, inputs)


def scaled(size: int, width: float, *, multiple: int = 1) -> int:
    """Return ``size * width`` rounded (halves up) to a positive multiple of ``multiple``."""
    return max(1, int(size * width / multiple + 0.5)) * multiple


def _made(architecture: str, *, inputs: Inputs, width: float, options: Mapping[str, Any]) -> "nn.Module":
    """Return a network in training mode, with weights from torch's global generator."""
    from torch import nn

    from shearbench.models import contract

    if architecture in ARCHITECTURES:
        builder: Callable[..., Any] = import_module(ARCHITECTURES[architecture]).build
    elif interface.is_own(architecture):
        builder = interface.find(architecture, needs=() if interface.is_adapted(architecture) else ("channels",))
    else:
        raise InputError(f"models.*.architecture {RULE}; got {architecture!r}")
    arguments = interface.arguments(builder, architecture, inputs, width=width)
    try:
        with contract.user_code(architecture, "building it"):
            if interface.is_adapted(architecture):
                made = interface.build_adapted(builder, architecture, inputs, options=options)
            else:
                made = _checked(builder)(**arguments, **options)
    except InputError as error:
        if isinstance(error.__cause__, ValidationError):
            raise InputError(_faults(architecture, builder, error.__cause__)) from None
        raise
    if not isinstance(made, nn.Module):
        raise InputError(f"{architecture} must give a torch.nn.Module; it gives a {type(made).__name__}")
    return made.train()


def _checked(builder: Any) -> Callable[..., Any]:
    """Return ``builder`` with its arguments validated by its annotations; for a class, by those of ``__init__``."""
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

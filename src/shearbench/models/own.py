"""Networks of a user's own: ``architecture: package.module.Net`` names a class or function outside this package.

It is looked for where Python imports from; the command line adds the project's folder ``networks/`` to that. It is
called as ``Net(channels=..., classes=..., size=(height, width), width=..., **options)`` and must give a
``torch.nn.Module`` that maps (n, channels, height, width) to logits (n, classes). Of these it must take ``channels``.
One without ``classes`` and ``size`` is for whatever its layers fit: 10 classes of 28 x 28, say. One without ``width``
has width 1 only.
"""

import inspect
import re
from collections.abc import Callable
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Any

from shearbench.code import NETWORKS
from shearbench.errors import InputError
from shearbench.models.inputs import Inputs

if TYPE_CHECKING:
    from torch import nn

FOLDER = NETWORKS.name
_TAKE = "let it take `classes` and `size`, and build its layers by them"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def is_own(architecture: str) -> bool:
    """Tell whether an architecture names something outside this package, as ``my_package.Net`` does."""
    return _NAME.fullmatch(architecture) is not None


def find(architecture: str) -> Callable[..., Any]:
    """Import what an architecture names.

    Raises:
        InputError: if there is no such module, it cannot be imported, or has no such class or function.
    """
    module_name, _, name = architecture.rpartition(".")
    module = _import(architecture, module_name)
    found = getattr(module, name, None)
    if not (inspect.isclass(found) or inspect.isfunction(found)):
        own = [each for each, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        raise InputError(
            f"architecture {architecture!r} must name a class or function, and {module.__file__} has none called "
            f"{name!r}; it has: {', '.join(own) or 'none'}"
        )
    if "channels" not in inspect.signature(found).parameters:
        raise InputError(f"{architecture} must take `channels`, the number of channels of its inputs; add that to it")
    chosen: Callable[..., Any] = found
    return chosen


def arguments(builder: Callable[..., Any], architecture: str, inputs: Inputs, *, width: float) -> dict[str, Any]:
    """Return what a network is built with beside its options.

    Raises:
        InputError: for another width than 1 where the network takes none.
    """
    taken = inspect.signature(builder).parameters
    if "width" not in taken and width != 1:
        raise InputError(f"{architecture} takes no `width`, so that its width must be 1 in params.yaml; got {width:g}")
    given = {**asdict(inputs), "width": width}
    return {name: value for name, value in given.items() if name in taken}


def hold_to_contract(network: Any, architecture: str, inputs: Inputs) -> "nn.Module":
    """Return the network, in training mode, once it has read two blank images as every network must.

    Raises:
        InputError: if it is no module, cannot read such inputs, or gives something else than logits.
    """
    import torch
    from torch import nn

    if not isinstance(network, nn.Module):
        raise InputError(f"{architecture} must give a torch.nn.Module; it gives a {type(network).__name__}")
    shape = (2, *inputs.shape)
    try:
        with torch.no_grad():
            logits = network.eval()(torch.zeros(shape))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{architecture} must read inputs {shape}, and fails: {reason}; {_TAKE}") from error
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, inputs.classes) or not logits.is_floating_point():
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise InputError(
            f"{architecture} must give logits (2, {inputs.classes}) for inputs {shape}; it gives {got}; {_TAKE}"
        )
    return network.train()


def _import(architecture: str, name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"architecture {architecture!r}: there is no module {error.name}; put it into {FOLDER}/ or install it"
            ) from None
        raise InputError(
            f"architecture {architecture!r}: importing {name} fails: {error}; install that module"
        ) from error
    except (ImportError, SyntaxError) as error:
        raise InputError(f"architecture {architecture!r}: importing {name} fails: {error}; mend that file") from error

"""Record inputs and outputs of a network's layers: a forward pass with a hook on every module of a type."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Heard:
    """One call of a module: its name in the network, the module, its first input and its output."""

    name: str
    module: nn.Module
    entered: Tensor
    left: Tensor


def listen(network: nn.Module, inputs: Tensor, kind: type[nn.Module]) -> list[Heard]:
    """Return the calls of all modules of a type in a forward pass of ``inputs``, without gradients, in order."""
    heard: list[Heard] = []

    def note(name: str, module: nn.Module, entered: tuple[Tensor, ...], left: Tensor) -> None:
        heard.append(Heard(name, module, entered[0], left))

    handles = [
        module.register_forward_hook(lambda module, entered, left, name=name: note(name, module, entered, left))
        for name, module in network.named_modules()
        if isinstance(module, kind)
    ]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return heard

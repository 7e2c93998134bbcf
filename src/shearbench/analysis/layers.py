"""Record inputs and outputs of a network's layers: a forward pass with a hook on every module of a type."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a module: its name in the network, the module, its first input and its output."""

    name: str
    module: nn.Module
    entered: Tensor
    left: Tensor


def layer_calls(network: nn.Module, inputs: Tensor, kind: type[nn.Module]) -> list[LayerCall]:
    """Return the calls of all modules of a type in a forward pass of ``inputs``, without gradients, in order."""
    calls: list[LayerCall] = []

    def note(name: str, module: nn.Module, entered: tuple[Tensor, ...], left: Tensor) -> None:
        calls.append(LayerCall(name, module, entered[0], left))

    with ExitStack() as hooks, torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, kind):
                hooks.enter_context(module.register_forward_hook(partial(note, name)))
        network(inputs)
    return calls

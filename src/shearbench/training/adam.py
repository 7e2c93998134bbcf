"""Adam with a state that a checkpoint can store, computed by torch's fused kernel.

``torch.optim.Adam`` is not used, because its constructor imports torch's compiler. In every process that trains a
fold, this takes as long as importing torch. The functional form needs no compiler and computes the same bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from shearbench.training.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Adam:
    """Parameters of a network with the moments of their gradients (Kingma & Ba, 2015, arXiv 1412.6980).

    ``first`` and ``second`` are laid out in memory like their parameters; ``steps`` are float32 scalars, one per
    parameter. Weight decay is added to the gradient, or with ``decoupled`` subtracted from the weights.
    """

    names: tuple[str, ...]
    parameters: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]
    steps: list[Tensor]
    weight_decay: float
    decoupled: bool
    epsilon: float

    @classmethod
    def of(cls, network: nn.Module, recipe: Recipe) -> "Adam":
        """Return the optimiser of a network that is already on its device, before its first step."""
        names, parameters = zip(*network.named_parameters(), strict=True)
        return cls(
            names,
            list(parameters),
            [torch.zeros_like(parameter) for parameter in parameters],
            [torch.zeros_like(parameter) for parameter in parameters],
            [torch.zeros((), device=parameter.device) for parameter in parameters],
            recipe.weight_decay,
            recipe.decay == "decoupled",
            recipe.adam_epsilon,
        )

    def zero_grad(self) -> None:
        """Set all gradients to None."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float | Tensor) -> None:
        """Update every parameter from its gradient; the rate may be a float32 scalar on the device."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        adam(
            _in_order_of_memory(self.parameters),
            _in_order_of_memory(gradients),
            _in_order_of_memory(self.first),
            _in_order_of_memory(self.second),
            [],
            self.steps,
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the moments and steps, named after their parameters."""
        splits = {"first": self.first, "second": self.second, "steps": self.steps}
        return {
            f"{part}.{name}": value
            for part, values in splits.items()
            for name, value in zip(self.names, values, strict=True)
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Load moments and steps returned by :meth:`state`."""
        own = self.state()
        assert own.keys() == state.keys(), "the state is that of another network"
        for name, value in state.items():
            # In place, because a CUDA graph holds the addresses of these tensors.
            own[name].copy_(value)


def _in_order_of_memory(tensors: list[Tensor]) -> list[Tensor]:
    """Return views with the densest dimension last, because the kernel copies other layouts back and forth."""
    return [tensor if tensor.is_contiguous() else tensor.permute(0, 2, 3, 1) for tensor in tensors]

"""Adam with a state that a checkpoint can store, computed by torch's fused kernel.

The constructor of ``torch.optim.Adam`` imports torch's compiler, which takes as long as importing torch. The
functional form needs no compiler and computes the same bits.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from shearbench.training.recipe import Recipe


class Adam:
    """Parameters of a network with the moments of their gradients (Kingma & Ba, 2015, arXiv 1412.6980).

    Moments are laid out in memory like their parameters. Weight decay is added to the gradient, or with the recipe's
    ``decay: decoupled`` subtracted from the weights.
    """

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        """Start at the parameters of a network that is already on its device."""
        self._recipe = recipe
        self._names, parameters = zip(*network.named_parameters(), strict=True)
        self.parameters: list[Tensor] = list(parameters)
        self._first = [torch.zeros_like(parameter) for parameter in parameters]
        self._second = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

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
            _in_order_of_memory(self._first),
            _in_order_of_memory(self._second),
            [],
            self._steps,
            fused=True,
            decoupled_weight_decay=self._recipe.decay == "decoupled",
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self._recipe.weight_decay,
            eps=self._recipe.adam_epsilon,
            maximize=False,
        )

    def state(self) -> dict[str, Tensor]:
        """Return the moments and steps, named after their parameters."""
        parts = {"first": self._first, "second": self._second, "steps": self._steps}
        return {
            f"{part}.{name}": value
            for part, values in parts.items()
            for name, value in zip(self._names, values, strict=True)
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

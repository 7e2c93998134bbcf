"""Dropout that draws 16 random bits a unit: on a CPU, torch's own draws longer than a dense layer computes."""

from typing import Any

import torch
from torch import Tensor, nn

_LEVELS = 2**16


class Dropout(nn.Dropout):
    """Zero units with probability ``p``, rounded to a multiple of 2 ** -16, and scale the others to keep the mean.

    The bits come from torch's global generator. On CUDA, torch's own kernel does it, with the ``p`` given.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs`` with units zeroed, or as they are in evaluation mode."""
        if not inputs.is_cpu:
            return super().forward(inputs)
        if not self.training or self.p == 0:
            return inputs
        dropped: Tensor = _Drop.apply(inputs, min(round(self.p * _LEVELS), _LEVELS - 1))  # type: ignore[no-untyped-call]
        return dropped


def draw_kept(count: int, level: int) -> Tensor:
    """Return int16 (count,): 1 with probability ``1 - level / 2 ** 16``, else 0; from torch's global generator."""
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)  # all values; four units a word
    return words.view(torch.int16)[:count].ge_(level - _LEVELS // 2)


class _Drop(torch.autograd.Function):
    """One product forward and one backward, with a mask of the type of its inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, level: int) -> Tensor:
        ctx.kept = draw_kept(inputs.numel(), level).view(inputs.shape).to(inputs.dtype)
        ctx.scale = _LEVELS / (_LEVELS - level)
        out: Tensor = (inputs * ctx.kept).mul_(ctx.scale)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return (gradients[0] * ctx.kept).mul_(ctx.scale), None

"""Layers that compute what torch's do, where torch's take too long on 28 x 28 images and a CPU.

Dropout that draws 16 random bits a unit: torch's own draws longer than a dense layer computes. 3x3 convolutions that
put out a single pixel as a matrix product: torch's work on eight taps that meet nothing but padding. ReLU that leaves
its work to the pooling behind it while a network trains, and flattening whose gradient lies in memory as the maps do.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 2**16


Initialisation = Literal["default", "glorot"]


def initialise(network: nn.Module, kind: Initialisation) -> None:
    """Draw weights anew as Keras does: Glorot's uniform distribution (2010), biases 0; ``default`` keeps them."""
    if kind == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


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
    # One 64-bit word gives four units of 16 bits: the generator is the bottleneck, not the comparison.
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


class ReLUBeforePool(nn.ReLU):
    """ReLU in front of a :class:`MaxPoolAfterReLU`, which does its work in training: max(relu(x)) = relu(max(x)).

    In evaluation mode both do their own, so that the map between them can be looked at.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs`` as they are, in evaluation mode with negative ones set to 0."""
        return inputs if self.training else super().forward(inputs)


class MaxPoolAfterReLU(nn.MaxPool2d):
    """Max pooling behind a :class:`ReLUBeforePool`: in training, ReLU on a quarter of the units, with the same bits."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return pooled maps; in training the negative ones among them are set to 0."""
        pooled: Tensor = super().forward(inputs)
        return pooled.relu() if self.training else pooled


class Flatten(nn.Flatten):
    """Flatten maps (n, channels, height, width), in the order of ``nn.Flatten``.

    Its gradient is in the layout of the convolutions, channels last. Else the pooling before it would copy its own
    gradient, four times as large, into that layout and back.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, channels * height * width)."""
        flat: Tensor = _Flatten.apply(inputs)  # type: ignore[no-untyped-call]
        return flat


class _Flatten(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor) -> Tensor:
        ctx.shape = inputs.shape
        return inputs.flatten(1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].view(ctx.shape).contiguous(memory_format=torch.channels_last)


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with padding 1, stride 1 or 2 and no bias; one pixel of output is one product with the weights.

    Of that pixel's window only the inputs themselves count; the rest is padding. Backward, four to eight times as fast.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, channels, height, width) of the convolution."""
        height, width = inputs.shape[2:]
        if height > self.stride[0] or width > self.stride[1]:
            return super().forward(inputs)
        # The window of the one output pixel starts in the padding, so input pixel (0, 0) meets tap (1, 1).
        taps = self.weight[:, :, 1 : 1 + height, 1 : 1 + width]
        return functional.linear(inputs.flatten(1), taps.flatten(1))[:, :, None, None]

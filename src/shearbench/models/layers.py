"""Layers equivalent to torch's, but faster for 28 x 28 images on a CPU.

Dropout draws 16 random bits per unit, because torch's takes longer than a dense layer. 3x3 convolutions of maps of at
most 2 x 2 pixels are matrix products, because torch also computes the taps on padding. In training, ReLU is applied
after the pooling that follows it. The gradient of flattening has the memory layout of the maps.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

_LEVELS = 2**16

Initialisation = Literal["default", "glorot"]


def initialise(network: nn.Module, kind: Initialisation) -> None:
    """Draw weights from Glorot's uniform distribution (2010), biases 0, like Keras; ``default`` changes nothing."""
    if kind == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class Dropout(nn.Dropout):
    """Zero units with probability ``p``, rounded to a multiple of 2 ** -16, and scale the others to keep the mean.

    The bits come from torch's global generator. On CUDA, torch's own kernel is used, with the exact ``p``.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs`` with units zeroed; in evaluation mode unchanged."""
        if not inputs.is_cpu:
            return super().forward(inputs)
        if not self.training or self.p == 0:
            return inputs
        dropped: Tensor = _Drop.apply(inputs, min(round(self.p * _LEVELS), _LEVELS - 1))  # type: ignore[no-untyped-call]
        return dropped


def draw_mask(count: int, level: int) -> Tensor:
    """Return int16 (count,): 1 with probability ``1 - level / 2 ** 16``, else 0; from torch's global generator."""
    # One 64-bit word serves four units of 16 bits, because the generator is the bottleneck, not the comparison.
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)  # all values; four units per word
    return words.view(torch.int16)[:count].ge_(level - _LEVELS // 2)


class _Drop(torch.autograd.Function):
    """Multiply by a mask of the type of the inputs, forward and backward."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, level: int) -> Tensor:
        ctx.mask = draw_mask(inputs.numel(), level).view(inputs.shape).to(inputs.dtype)
        ctx.scale = _LEVELS / (_LEVELS - level)
        out: Tensor = (inputs * ctx.mask).mul_(ctx.scale)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return (gradients[0] * ctx.mask).mul_(ctx.scale), None


class ReLUBeforePool(nn.ReLU):
    """ReLU in front of a :class:`MaxPoolAfterReLU`, which applies it in training: max(relu(x)) = relu(max(x)).

    In evaluation mode ReLU is applied here, so that analyses can use the map between both layers.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs``; in evaluation mode with negative values set to 0."""
        return inputs if self.training else super().forward(inputs)


class MaxPoolAfterReLU(nn.MaxPool2d):
    """Max pooling after a :class:`ReLUBeforePool`. In training it applies ReLU to a quarter of the units; same bits."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return pooled maps; in training with negative values set to 0."""
        pooled: Tensor = super().forward(inputs)
        return pooled.relu() if self.training else pooled


class Flatten(nn.Flatten):
    """Flatten maps (n, channels, height, width), in the order of ``nn.Flatten``.

    Its gradient has the layout of the convolutions, channels last. Otherwise the pooling before it would copy its own
    gradient, which is four times as large, to that layout and back.
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
    """A 3x3 convolution with padding 1, stride 1 or 2 and no bias; a map of at most 2 x 2 pixels is a matrix product.

    Each output pixel of such a map depends on every input pixel, so the convolution is a dense layer without zeros. It
    has fewer products than the convolution, which includes the padding, and takes an eighth to a third of the time.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolution, (n, channels, height, width)."""
        if max(inputs.shape[2:]) > 2:
            return super().forward(inputs)
        if torch.is_autocast_enabled(inputs.device.type):
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        maps: Tensor = _SmallConvolution.apply(inputs, self.weight, self.stride)  # type: ignore[no-untyped-call]
        return maps


class _SmallConvolution(torch.autograd.Function):
    """Multiply the flattened map by a matrix with a block of rows for each output pixel; in the type of the inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
        count, channels, height, width = inputs.shape
        # Output pixel (i, j) has its window's second row and column at (i, j) * stride, so input pixel (0, 0) is at
        # tap (1, 1) - (i, j) * stride.
        windows = [
            (slice(1 - top, 1 - top + height), slice(1 - left, 1 - left + width))
            for top in range(0, height, stride[0])
            for left in range(0, width, stride[1])
        ]
        taps = weight.permute(0, 2, 3, 1).to(inputs.dtype)
        matrix = torch.stack([taps[:, rows, columns] for rows, columns in windows])
        matrix = matrix.view(-1, height * width * channels)
        flat = inputs.permute(0, 2, 3, 1).flatten(1)
        ctx.save_for_backward(flat, matrix)
        ctx.windows, ctx.shape, ctx.weight = windows, inputs.shape, weight
        out = (flat @ matrix.T).view(count, -(-height // stride[0]), -(-width // stride[1]), len(weight))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        flat, matrix = ctx.saved_tensors
        count, channels, height, width = ctx.shape
        out = gradients[0].permute(0, 2, 3, 1).flatten(1)
        of_matrix = (out.T @ flat).view(len(ctx.windows), -1, height, width, channels)
        of_weight = torch.zeros_like(ctx.weight)
        taps = of_weight.permute(0, 2, 3, 1)
        for block, (rows, columns) in zip(of_matrix, ctx.windows, strict=True):
            taps[:, rows, columns] += block
        return (out @ matrix).view(count, height, width, channels).permute(0, 3, 1, 2), of_weight, None

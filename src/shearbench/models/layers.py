"""Layers equivalent to torch's, but faster for 28 x 28 images on a CPU.

Dropout draws 16 random bits per unit, because torch's takes longer than a dense layer. 1x1 convolutions, and 3x3 ones
onto at most 2 x 2 pixels, are matrix products. In training, ReLU is applied after the pooling that follows it. The
gradient of flattening has the memory layout of the maps.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

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
    """A 3x3 convolution with padding 1, stride 1 or 2 and no bias; onto at most 2 x 2 pixels it is a matrix product.

    torch's convolution takes 1.5 to 8 times as long for such maps.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolution, (n, channels, height, width)."""
        if max(-(-side // self.stride[0]) for side in inputs.shape[2:]) > 2:
            return super().forward(inputs)
        if torch.is_autocast_enabled(inputs.device.type):
            inputs = inputs.to(torch.get_autocast_dtype(inputs.device.type))
        product = _DenseConvolution if max(inputs.shape[2:]) <= 2 else _WindowConvolution
        maps: Tensor = product.apply(inputs, self.weight, self.stride[0])  # type: ignore[no-untyped-call]
        return maps


class Conv1x1(nn.Conv2d):
    """A 1x1 convolution without padding and bias, as a dense layer of the pixels that its stride meets."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the convolution, (n, channels, height, width)."""
        pixels = inputs[:, :, :: self.stride[0], :: self.stride[1]].permute(0, 2, 3, 1)
        return functional.linear(pixels, self.weight.flatten(1)).permute(0, 3, 1, 2)


class _DenseConvolution(torch.autograd.Function):
    """Multiply a flattened map of at most 2 x 2 pixels by a matrix with a block of rows for each output pixel.

    Each output pixel depends on every input pixel, so the matrix has no zeros. Computed in the type of the inputs.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: int) -> Tensor:
        count, channels, height, width = inputs.shape
        # Output pixel (i, j) has its window's second row and column at (i, j) * stride, so input pixel (0, 0) is at
        # tap (1, 1) - (i, j) * stride. Taps on padding alone are not even converted.
        tops, lefts = (range(0, side, stride) for side in (height, width))
        ctx.used = slice(1 - tops[-1], 1 + height), slice(1 - lefts[-1], 1 + width)
        windows = [
            (slice(tops[-1] - top, tops[-1] - top + height), slice(lefts[-1] - left, lefts[-1] - left + width))
            for top in tops
            for left in lefts
        ]
        taps = weight.permute(0, 2, 3, 1)[:, *ctx.used].to(inputs.dtype)
        matrix = torch.stack([taps[:, rows, columns] for rows, columns in windows])
        matrix = matrix.view(-1, height * width * channels)
        flat = inputs.permute(0, 2, 3, 1).flatten(1)
        ctx.save_for_backward(flat, matrix)
        ctx.windows, ctx.shape, ctx.weight = windows, inputs.shape, weight
        out = (flat @ matrix.T).view(count, len(tops), len(lefts), len(weight))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        flat, matrix = ctx.saved_tensors
        count, channels, height, width = ctx.shape
        out = gradients[0].permute(0, 2, 3, 1).flatten(1)
        of_matrix = (out.T @ flat).view(len(ctx.windows), -1, height, width, channels)
        of_weight = torch.zeros_like(ctx.weight)
        taps = of_weight.permute(0, 2, 3, 1)[:, *ctx.used]
        for block, (rows, columns) in zip(of_matrix, ctx.windows, strict=True):
            taps[:, rows, columns] += block
        return (out @ matrix).view(count, height, width, channels).permute(0, 3, 1, 2), of_weight, None


class _WindowConvolution(torch.autograd.Function):
    """Multiply the 3 x 3 windows of a padded map, one row each, by the weights; in the type of the inputs."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, stride: int) -> Tensor:
        padded = functional.pad(inputs.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        windows = padded.unfold(1, 3, stride).unfold(2, 3, stride)  # (n, rows, columns, channels, 3, 3), no copy
        ctx.grid, ctx.padded, ctx.stride, ctx.weight = windows.shape[:3], padded.shape, stride, weight
        flat = windows.permute(0, 1, 2, 4, 5, 3).reshape(-1, 9 * inputs.shape[1])
        matrix = weight.permute(0, 2, 3, 1).to(inputs.dtype).flatten(1)
        ctx.save_for_backward(flat, matrix)
        return (flat @ matrix.T).view(*ctx.grid, len(weight)).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        flat, matrix = ctx.saved_tensors
        out = gradients[0].permute(0, 2, 3, 1).reshape(-1, len(matrix))
        of_weight = (out.T @ flat).view(-1, 3, 3, ctx.padded[-1]).permute(0, 3, 1, 2).to(ctx.weight.dtype)
        of_taps = (out @ matrix).view(*ctx.grid, 3, 3, ctx.padded[-1])
        of_padded = out.new_zeros(ctx.padded)
        windows = of_padded.unfold(1, 3, ctx.stride).unfold(2, 3, ctx.stride)
        for row in range(3):
            for column in range(3):
                windows[..., row, column] += of_taps[:, :, :, row, column]
        return of_padded[:, 1:-1, 1:-1].permute(0, 3, 1, 2), of_weight, None

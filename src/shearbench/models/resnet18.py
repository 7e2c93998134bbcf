"""ResNet-18 (He et al., 2016, arXiv 1512.03385) with torchvision's blocks and stem, for any number of channels.

At width 1 and three channels it equals torchvision's network: same state dict, same outputs. torchvision itself is
not imported, because that takes as long as torch. The network has the 7x7 stem with stride 2 and pooling, so the
stages have 7x7, 4x4, 2x2 and 1x1 maps for a 28x28 input.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from shearbench.errors import InputError
from shearbench.models import scaled
from shearbench.models.layers import Conv1x1, Conv3x3, Initialisation, initialise

MOMENTUM, EPSILON = 0.1, 1e-5  # defaults of torch
GROUPS = 8  # a divisor of every number of channels


def build(
    channels: int,
    classes: int,
    width: float,
    norm: Literal["batch", "group"] = "batch",
    momentum: Annotated[float, Field(gt=0, le=1)] = MOMENTUM,
    epsilon: Annotated[float, Field(gt=0)] = EPSILON,
    init: Initialisation = "default",
    stem: Literal["imagenet", "small"] = "imagenet",
    third_channel: Literal["none", "zeros", "repeat"] = "none",
    resize: Annotated[int, Field(ge=28)] | None = None,
) -> nn.Sequential:
    """Return the network for inputs (n, channels, height, width); widths are rounded to multiples of 8 channels.

    Args:
        channels: of the input.
        classes: number of logits.
        width: multiplies the channels of every layer.
        norm: batch normalisation, or group normalisation (Wu & He, 2018, arXiv 1803.08494) in 8 groups, which
            has no running averages.
        momentum: the weight of a batch in the running averages of batch normalisation; Keras's 0.99 is 0.01 here.
        epsilon: added to the variance by batch normalisation; Keras uses 1e-3.
        init: He's normal distribution as in torchvision, or Glorot's uniform one as in Keras.
        stem: a 7x7 convolution of stride 2 with pooling, or a 3x3 one of stride 1 without; the stages of the latter
            have 28x28, 14x14, 7x7 and 4x4 maps.
        third_channel: added for networks for colour images: zeros, or a copy of the first channel.
        resize: side in pixels of a bilinear resize in front of the stem.

    Raises:
        InputError: if ``momentum`` is given to group normalisation.
    """
    if norm == "group" and momentum != MOMENTUM:
        raise InputError(f"momentum is an option of norm: batch alone, but norm is group; remove momentum: {momentum}")
    layer = (
        partial(nn.BatchNorm2d, momentum=momentum, eps=epsilon) if norm == "batch" else partial(nn.GroupNorm, GROUPS)
    )
    c1, c2, c3, c4 = (scaled(planes, width, multiple=8) for planes in (64, 128, 256, 512))
    network = nn.Sequential(
        OrderedDict(
            **_front(third_channel, resize),
            **_stem(channels if third_channel == "none" else 3, c1, layer, stem),
            layer1=_stage(c1, c1, stride=1, norm=layer),  # (n, c1, 7, 7)
            layer2=_stage(c1, c2, stride=2, norm=layer),  # (n, c2, 4, 4)
            layer3=_stage(c2, c3, stride=2, norm=layer),  # (n, c3, 2, 2)
            layer4=_stage(c3, c4, stride=2, norm=layer),  # (n, c4, 1, 1)
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(c4, classes),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    initialise(network, init)
    return network


class ThirdChannel(nn.Module):
    """Pad inputs to three channels with zeros or copies of the first channel."""

    def __init__(self, fill: Literal["zeros", "repeat"]) -> None:
        super().__init__()
        self._zeros = fill == "zeros"

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, 3, height, width) of inputs with at most three channels."""
        first = inputs[:, :1]
        added = [torch.zeros_like(first) if self._zeros else first] * (3 - inputs.shape[1])
        return torch.cat([inputs, *added], dim=1)


def _front(third_channel: Literal["none", "zeros", "repeat"], resize: int | None) -> dict[str, nn.Module]:
    """Return the layers in front of the stem, if any."""
    front: dict[str, nn.Module] = {}
    if third_channel != "none":
        front["third_channel"] = ThirdChannel(third_channel)
    if resize is not None:
        front["resize"] = nn.Upsample((resize, resize), mode="bilinear", align_corners=False)
    return front


def _stem(
    channels: int, planes: int, norm: Callable[[int], nn.Module], kind: Literal["imagenet", "small"]
) -> dict[str, nn.Module]:
    """Return the layers in front of the first stage: (n, planes, 7, 7), with the small stem 28 x 28."""
    side, stride, padding = (7, 2, 3) if kind == "imagenet" else (3, 1, 1)
    stem: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(channels, planes, kernel_size=side, stride=stride, padding=padding, bias=False),
        "bn1": norm(planes),
        "relu": nn.ReLU(inplace=True),
    }
    if kind == "imagenet":
        stem["maxpool"] = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
    return stem


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; layers are named as in torchvision's block."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        shortcut = None
        if stride != 1 or inputs != outputs:
            entrance = Conv1x1(inputs, outputs, 1, stride=stride, bias=False)
            shortcut = nn.Sequential(entrance, norm(outputs))
        self.conv1 = Conv3x3(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = norm(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = Conv3x3(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = norm(outputs)
        self.downsample = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (n, outputs, height / stride, width / stride)."""
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(inputs)))))
        inner += inputs if self.downsample is None else self.downsample(inputs)
        result: Tensor = self.relu(inner)
        return result


def _stage(inputs: int, outputs: int, *, stride: int, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Return two basic blocks; the first one changes channels and resolution."""
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride=stride, norm=norm), BasicBlock(outputs, outputs, stride=1, norm=norm)
    )

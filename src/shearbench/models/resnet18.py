"""ResNet-18 (He et al., 2016, arXiv 1512.03385) of torchvision's blocks and stem, for any number of channels.

At width 1 and three channels it is torchvision's network: same state dict, same outputs. The 7x7 stem with
stride 2 and its pooling are kept, so that the stages see 7x7, 4x4, 2x2 and 1x1 maps of a 28x28 input.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from shearbench.errors import InputError
from shearbench.models import CLASSES, scaled
from shearbench.models.layers import Conv3x3
from shearbench.torchvision_ops import torchvision

BasicBlock = torchvision.models.resnet.BasicBlock

MOMENTUM = 0.1  # torch's
GROUPS = 8  # divides every width


def build(
    channels: int,
    width: float,
    norm: Literal["batch", "group"] = "batch",
    momentum: Annotated[float, Field(gt=0, le=1)] = MOMENTUM,
) -> nn.Sequential:
    """Return the network for inputs (n, channels, 28, 28); widths are rounded to multiples of 8 channels.

    Args:
        channels: of the input.
        width: multiplies the channels of every layer.
        norm: batch normalisation, or group normalisation (Wu & He, 2018, arXiv 1803.08494) in 8 groups, which
            knows no running averages.
        momentum: the share that a batch has in batch normalisation's running averages.

    Raises:
        InputError: if ``momentum`` is given to group normalisation.
    """
    if norm == "group" and momentum != MOMENTUM:
        raise InputError(f"momentum is an option of norm: batch alone, but norm is group; remove momentum: {momentum}")
    layer = partial(nn.BatchNorm2d, momentum=momentum) if norm == "batch" else partial(nn.GroupNorm, GROUPS)
    c1, c2, c3, c4 = (scaled(planes, width, multiple=8) for planes in (64, 128, 256, 512))
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, c1, kernel_size=7, stride=2, padding=3, bias=False),  # (n, c1, 14, 14)
            bn1=layer(c1),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            layer1=_stage(c1, c1, stride=1, norm=layer),  # (n, c1, 7, 7)
            layer2=_stage(c1, c2, stride=2, norm=layer),  # (n, c2, 4, 4)
            layer3=_stage(c2, c3, stride=2, norm=layer),  # (n, c3, 2, 2)
            layer4=_stage(c3, c4, stride=2, norm=layer),  # (n, c4, 1, 1)
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(c4, CLASSES),
        )
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stage(inputs: int, outputs: int, *, stride: int, norm: Callable[[int], nn.Module]) -> nn.Sequential:
    """Return two basic blocks, the first of which changes channels and resolution."""
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False), norm(outputs))
    blocks = [
        BasicBlock(inputs, outputs, stride, shortcut, norm_layer=norm),
        BasicBlock(outputs, outputs, norm_layer=norm),
    ]
    for block in blocks:
        block.conv1, block.conv2 = Conv3x3.like(block.conv1), Conv3x3.like(block.conv2)
    return nn.Sequential(*blocks)

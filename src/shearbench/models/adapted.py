"""Networks of torchvision and timm by path: ``architecture: torchvision.models.mobilenet_v3_small``.

- Weights are random. The head has one output per class.
- Channels: timm takes them as an argument. In torchvision's networks the first convolution is replaced by one with the
  same kernel, stride and padding, unless there are three channels.
- Option ``resize: 32`` enlarges the images to 32 x 32 before the first layer, for networks that halve small images too
  often. All other options are passed to the network.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from shearbench.errors import InputError
from shearbench.models.inputs import Inputs

FAMILIES = ("torchvision.models.", "timm.")


def is_adapted(architecture: str) -> bool:
    """Return True if an architecture names a network of torchvision or timm."""
    return architecture.startswith(FAMILIES)


def build(found: Callable[..., Any], architecture: str, inputs: Inputs, *, options: Mapping[str, Any]) -> Any:
    """Return a network for ``inputs``.

    Raises:
        InputError: if pretrained weights are requested, ``resize`` is not a size, or the network has no convolution.
    """
    refused = {"weights", "pretrained", "num_classes", "in_chans"} & options.keys()
    if refused:
        raise InputError(
            f"{architecture}: {', '.join(sorted(refused))} must not be given; its weights are random, and "
            "its classes and channels are those of the data"
        )
    own = dict(options)
    resize = own.pop("resize", None)
    if resize is not None and (not isinstance(resize, int) or resize < 1):
        raise InputError(f"{architecture}: resize must be a positive number of pixels; got {resize!r}")
    if architecture.startswith("torchvision.models.vit_"):
        own.setdefault("image_size", resize or inputs.size[0])
    if architecture.startswith("timm."):
        network = found(pretrained=False, num_classes=inputs.classes, in_chans=inputs.channels, **own)
    else:
        network = _with_channels(found(weights=None, num_classes=inputs.classes, **own), architecture, inputs.channels)
    if resize is None or not isinstance(network, nn.Module):
        return network
    return nn.Sequential(nn.Upsample(size=(resize, resize), mode="bilinear"), network)


def _with_channels(network: nn.Module, architecture: str, channels: int) -> nn.Module:
    """Return the network with a first convolution for ``channels`` input channels."""
    first = next(((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d)), None)
    if first is None:
        raise InputError(f"{architecture} has no convolution that could be adapted to {channels} channels")
    name, old = first
    if old.in_channels == channels:
        return network
    if old.groups != 1:
        raise InputError(
            f"{architecture} begins with a grouped convolution, which cannot be adapted to {channels} channels"
        )
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        old.stride,  # type: ignore[arg-type]
        old.padding,  # type: ignore[arg-type]
        old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
        padding_mode=old.padding_mode,
    )
    parent, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(parent), leaf, new)
    return network

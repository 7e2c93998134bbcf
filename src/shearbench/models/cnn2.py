"""A small convolutional network: 3x3 convolutions of 32 and 64 channels, a dense layer of 128, and logits."""

from collections import OrderedDict
from typing import Annotated

from pydantic import Field
from torch import nn

from shearbench.models import scaled
from shearbench.models.layers import Dropout, Flatten, Initialisation, MaxPoolAfterReLU, ReLUBeforePool, initialise


def build(
    channels: int,
    classes: int,
    size: tuple[int, int],
    width: float,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5,
    init: Initialisation = "default",
) -> nn.Sequential:
    """Return the network for inputs (n, channels, *size), of at least 8 x 8; ``dropout`` follows the dense layer; see
    ``layers.initialise`` for ``init``."""
    pixels = (size[0] // 4) * (size[1] // 4)  # of a map after the last pooling
    c1, c2, units = (scaled(size, width) for size in (32, 64, 128))
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, c1, kernel_size=3, padding=1),  # (n, c1, 28, 28) of 28 x 28
            relu1=ReLUBeforePool(),
            pool1=MaxPoolAfterReLU(2),  # (n, c1, 14, 14)
            conv2=nn.Conv2d(c1, c2, kernel_size=3, padding=1),
            relu2=ReLUBeforePool(),
            pool2=MaxPoolAfterReLU(2),  # (n, c2, 7, 7)
            flatten=Flatten(),
            dense=nn.Linear(c2 * pixels, units),
            relu3=nn.ReLU(),
            dropout=Dropout(dropout),
            head=nn.Linear(units, classes),
        )
    )
    initialise(network, init)
    return network

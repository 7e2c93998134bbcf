"""A multilayer perceptron on all pixels of all channels: hidden layers of 512, 256 and 128 units, and logits."""

from collections import OrderedDict
from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import nn

from shearbench.models import scaled
from shearbench.models.layers import Dropout

HIDDEN = (512, 256, 128)


def build(
    channels: int,
    classes: int,
    size: tuple[int, int],
    width: float,
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2,
) -> nn.Sequential:
    """Return the network for inputs (n, channels, *size); ``dropout`` follows each hidden layer."""
    sizes = [channels * size[0] * size[1], *(scaled(units, width) for units in HIDDEN)]
    layers: list[tuple[str, nn.Module]] = [("flatten", nn.Flatten())]
    for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        layers += [
            (f"dense{number}", nn.Linear(inputs, outputs)),
            (f"relu{number}", nn.ReLU()),
            (f"dropout{number}", Dropout(dropout)),
        ]
    return nn.Sequential(OrderedDict([*layers, ("head", nn.Linear(sizes[-1], classes))]))

"""A network as others use it: raw inputs to probabilities, with its normalisation inside."""

import torch
from torch import Tensor, nn

from shearbench.data.normalise import Normaliser


class Served(nn.Module):
    """Maps raw inputs float32 (n, channels, 28, 28), as a dataset holds them, to probabilities (n, 10)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normaliser: Normaliser) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.from_numpy(normaliser.mean))
        self.register_buffer("scale", torch.from_numpy(normaliser.scale))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the probability of each class."""
        probabilities: Tensor = self.network((inputs - self.mean) / self.scale).softmax(dim=1)
        return probabilities

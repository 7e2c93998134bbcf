"""A network for export, with normalisation and temperature: raw inputs to calibrated probabilities."""

import torch
from torch import Tensor, nn

from shearbench.data.normalise import Normaliser


class Served(nn.Module):
    """Map raw inputs float32 (n, channels, height, width) of a dataset to probabilities (n, classes)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normaliser: Normaliser, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.register_buffer("mean", torch.from_numpy(normaliser.mean))
        self.register_buffer("scale", torch.from_numpy(normaliser.scale))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the probability of each class; RuntimeError for an input that is not finite, as JSON has no NaN."""
        torch._assert_async(torch.isfinite(inputs).all(), "every input must be a finite number")
        logits: Tensor = self.network((inputs - self.mean) / self.scale)
        probabilities = (logits / self.temperature).softmax(dim=1)
        return probabilities

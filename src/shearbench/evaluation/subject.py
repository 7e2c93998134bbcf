"""What a probe is given and gives back: a fold's network with the sealed test set; arrays, and facts for the record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shearbench.data import dataset
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.training.hardware import Hardware


@dataclass(frozen=True, eq=False)
class Subject:
    """One fold's network, in evaluation mode on the CPU, with what it may be asked about.

    ``explained`` are the rows of the test set to explain, the same digits for every network, fold and dataset.
    ``folder`` is that of the dataset, beside which the other datasets lie.
    """

    network: nn.Module
    normaliser: Normaliser
    record: Mapping[str, Any]
    test: Dataset
    folder: Path
    explained: tuple[int, ...]
    hardware: Hardware

    @cached_property
    def train(self) -> Dataset:
        """All training digits of the dataset; read when first asked for."""
        return dataset.load(self.folder, "train")

    def seen(self, inputs: NDArray[Any]) -> Tensor:
        """Return inputs (n, channels, 28, 28) as the network sees them: normalised, float32."""
        return torch.from_numpy(self.normaliser.apply(inputs))


@dataclass(frozen=True, eq=False)
class Answer:
    """What a probe found: named arrays of one network, and facts that go into the record of the evaluation."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)


Probe = Callable[[Subject], Answer]

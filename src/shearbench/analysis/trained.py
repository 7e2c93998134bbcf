"""The input of a measurement: a fold's network with the test set. Its result is a :class:`Measured`."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shearbench.analysis.settings import Evaluate, Rows, first_of_each_class, interleaved, share_of_fold
from shearbench.data import dataset
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.data.trend import homogeneous_field
from shearbench.seeds import generator_for
from shearbench.training.hardware import Hardware
from shearbench.training.results import predict

_BATCH = 100  # fits into a core's cache: small convolutions are up to twice as fast as with 500


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One fold's network, in evaluation mode on the CPU, with its test set.

    ``explained`` are the rows of the test set to explain, the same samples for every network, fold and dataset.
    ``folder`` is that of the dataset, with the other datasets beside it.
    """

    network: nn.Module
    normaliser: Normaliser
    record: Mapping[str, Any]
    test: Dataset
    folder: Path
    explained: tuple[int, ...]
    hardware: Hardware
    settings: Evaluate

    @property
    def fold(self) -> int:
        """The number of the fold."""
        return int(self.record["fold"])

    @property
    def entry(self) -> Mapping[str, Any]:
        """The dataset's entry in ``params.yaml``."""
        return dict(self.record["config"]["entry"])

    @property
    def is_field(self) -> bool:
        """Whether the inputs are displacement fields (u_x, u_y), not images."""
        return "load" in self.entry

    @property
    def is_network(self) -> bool:
        """Whether it has layers and gradients, unlike a classifier of scikit-learn."""
        return self.record["config"]["recipe"] is not None

    @property
    def share(self) -> Rows:
        """The ``settings.samples`` rows of the test set for this fold, where the folds divide the test set."""
        return share_of_fold(self._order, self.fold, self.settings.samples)

    @property
    def embedded(self) -> Rows:
        """The rows of the test set in the embedding, the same for every network."""
        return self._order[: self.settings.embedded]

    @property
    def measured(self) -> Rows:
        """The rows of the test set with measured maps, the same for every network."""
        return first_of_each_class(self.test.ids, self.test.labels, self.settings.explained)

    @property
    def _order(self) -> Rows:
        return interleaved(self.test.ids, self.test.labels, generator_for(self.record["seed"], "evaluate", "digits"))

    @cached_property
    def train(self) -> Dataset:
        """All training samples of the dataset, read at first use."""
        return dataset.load(self.folder, "train")

    @cached_property
    def blank(self) -> NDArray[Any]:
        """The input without an image, (channels, h, w): a black image, or the displacement of the empty block."""
        if self.is_field:
            return homogeneous_field(self.entry["load"], self.entry["step"], self.test.size).astype(np.float32)
        return np.zeros_like(self.test.inputs[0])

    def seen(self, inputs: NDArray[Any]) -> Tensor:
        """Return inputs (n, channels, h, w) as the network sees them: normalised, float32."""
        return torch.from_numpy(self.normaliser.apply(inputs))

    def probabilities(self, inputs: NDArray[Any], normaliser: Normaliser | None = None) -> NDArray[np.float32]:
        """Return probabilities (n, classes) of inputs (n, channels, h, w) that are not normalised.

        The default ``normaliser`` is the network's own.
        """
        own, device = normaliser or self.normaliser, self.hardware.device
        return predict(self.predictor, inputs, normaliser=own, batch=_BATCH, device=device)

    def correct(
        self, inputs: NDArray[Any], labels: NDArray[np.int64], normaliser: Normaliser | None = None
    ) -> NDArray[np.bool_]:
        """Return whether the predicted class of each input is its label, (n,)."""
        correct: NDArray[np.bool_] = self.probabilities(inputs, normaliser).argmax(axis=1) == labels
        return correct

    @cached_property
    def predictor(self) -> nn.Module:
        """A copy for predictions, which move it to the device; ``network`` stays on the CPU."""
        return copy.deepcopy(self.network)

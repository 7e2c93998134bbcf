"""A subject of probes made of any network and any data, for the tests of what a probe finds."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from shearbench.analysis.settings import Evaluate, one_of_each_class
from shearbench.analysis.trained import TrainedModel
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.training.hardware import Hardware

IMAGES = {"source": "mnist", "channels": 1, "normalise": "none"}
FIELDS = {"source": "simulated", "load": "shear", "step": 5, "normalise": "none"}


def trained_of(
    network: nn.Module,
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    entry: dict[str, Any] = IMAGES,
    fold: int = 0,
    **settings: Any,
) -> TrainedModel:
    """Return the subject of a network that sees ``inputs`` as they are."""
    shape = inputs.shape[1:]
    normaliser = Normaliser(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    noise = {"levels": [1.0], "raw": [0.1], "draws": 1}
    chosen = {"samples": 10, "noise": noise, "explained": 1, "embedded": 40, **settings}
    test = Dataset("test", np.arange(len(inputs)), inputs, labels)
    record = {"fold": fold, "seed": 1, "config": {"entry": entry, "recipe": {}, "train_on": "rest"}}
    explained = one_of_each_class(test.ids, labels)
    hardware, settled = Hardware(), Evaluate.model_validate(chosen)
    return TrainedModel(network.eval(), normaliser, record, test, Path(), explained, hardware, settled)

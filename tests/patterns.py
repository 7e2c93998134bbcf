"""Data small enough to train on in a moment, ten blurred patterns with noise on them, and narrow networks for it."""

from typing import Any

import numpy as np

from shearbench.data.dataset import Dataset
from shearbench.training.experiment import Experiment


def make_dataset(count: int, seed: int, first_id: int = 0) -> Dataset:
    """Return ``count`` noisy copies of ten fixed patterns."""
    patterns = np.kron(np.random.default_rng(0).integers(0, 180, (10, 1, 7, 7)), np.ones((4, 4)))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    inputs = (patterns[labels] + rng.integers(0, 75, (count, 1, 28, 28))).astype(np.uint8)
    return Dataset("patterns", np.arange(first_id, first_id + count), inputs, labels)


def experiment_with(**changes: Any) -> Experiment:
    """Return an experiment of a narrow network; keywords replace its settings, or its recipe's."""
    recipe = {"epochs": 3, "batch": 20, "learning_rate": 0.01, "weight_decay": 1e-5}
    recipe |= {key: changes.pop(key) for key in [*recipe, "patience", "augment", "schedule"] if key in changes}
    settings = {
        "dataset": "patterns",
        "model": "small",
        "seed": 42,
        "architecture": "mlp",
        "width": 0.05,
        "options": {},
        "recipe": recipe,
        "entry": {"source": "mnist", "channels": 1, "normalise": "unit"},
        "inner_fraction": 0.2,
        "device": "cpu",
        "precision": "fp32",
    }
    return Experiment.model_validate(settings | changes)

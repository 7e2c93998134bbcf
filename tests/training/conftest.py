"""A dataset small enough to train on in a moment: ten blurred patterns, and noise on them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.data.dataset import Dataset, write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.training.experiment import Experiment
from shearbench.training.state import Part

SAMPLES = 240
Make = Callable[..., Experiment]


def make_dataset(count: int, seed: int, first_id: int = 0) -> Dataset:
    """Return ``count`` noisy copies of ten fixed patterns."""
    patterns = np.kron(np.random.default_rng(0).integers(0, 180, (10, 1, 7, 7)), np.ones((4, 4)))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    inputs = (patterns[labels] + rng.integers(0, 75, (count, 1, 28, 28))).astype(np.uint8)
    return Dataset("patterns", np.arange(first_id, first_id + count), inputs, labels)


@pytest.fixture
def dataset() -> Dataset:
    """240 samples in memory."""
    return make_dataset(SAMPLES, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``patterns/`` (a dataset on disk) and ``folds.npz`` with three folds."""
    folder = tmp_path_factory.mktemp("data")
    train, test = make_dataset(SAMPLES, seed=1), make_dataset(20, seed=2, first_id=SAMPLES)
    write_dataset(folder / "patterns", {"train": train, "test": test}, {})
    write_folds(folder / "folds.npz", FoldTable(train.ids, train.ids[None] % 3))
    return folder


@pytest.fixture(scope="session")
def make_experiment() -> Make:
    """A function that returns an experiment of a narrow network; keywords replace its settings, or its recipe's."""

    def make(**changes: Any) -> Experiment:
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

    return make


@pytest.fixture
def part(dataset: Dataset) -> Part:
    """All samples, on the CPU."""
    from shearbench.training.hardware import Hardware

    return Part.of(dataset, np.arange(SAMPLES), Hardware())

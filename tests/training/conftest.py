"""A dataset small enough to train on in a moment: ten blurred patterns, and noise on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from patterns import config_with, make_dataset
from shearbench.data.dataset import Dataset, write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.training.config import TrainingConfig
from shearbench.training.state import Part

SAMPLES = 240
Make = Callable[..., TrainingConfig]


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
    write_folds(folder / "patterns" / "folds.npz", FoldTable(train.ids, train.ids[None] % 3))
    return folder


@pytest.fixture(scope="session")
def make_config() -> Make:
    """A function that returns an experiment of a narrow network; keywords replace its settings, or its recipe's."""

    return config_with


@pytest.fixture
def part(dataset: Dataset) -> Part:
    """All samples, on the CPU."""
    from shearbench.training.hardware import Hardware

    return Part.of(dataset, np.arange(SAMPLES), Hardware())

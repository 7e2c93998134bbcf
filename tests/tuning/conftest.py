"""The tuning part of a small dataset on disk: 240 patterns, of which 160 train, 80 score, and 2 folds deal the 160."""

from pathlib import Path

import numpy as np
import pytest
from searching import job_in

from patterns import make_dataset
from shearbench.data.dataset import Dataset, write_dataset
from shearbench.tuning.job import write_part

SAMPLES = 400


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ``build/`` with the dataset ``patterns``; its ids 100 to 339 are the tuning part."""
    from shearbench.data import folds

    folder = tmp_path_factory.mktemp("tuning") / "build"
    train, test = make_dataset(SAMPLES, seed=1), make_dataset(20, seed=2, first_id=SAMPLES)
    write_dataset(folder / "datasets" / "patterns", {"train": train, "test": test}, {})
    folds.write_part(folder / "datasets" / "patterns" / "tuning_part.npz", np.arange(100, 340))
    return folder


@pytest.fixture(scope="session")
def part(build: Path) -> Path:
    """The folder of the tuning part."""
    job = job_in(build)
    write_part(job)
    return job.part


@pytest.fixture(scope="session")
def whole() -> Dataset:
    """The training part of the dataset, in memory."""
    return make_dataset(SAMPLES, seed=1)

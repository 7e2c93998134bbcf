"""A small project folder: 60 training and 20 test digits, adopted."""

from pathlib import Path

import numpy as np
import pytest

from shearbench import params as settings
from shearbench.data import idx, raw
from shearbench.params import Params

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def params() -> Params:
    """What params.yaml of the repository says, with 3 folds."""
    loaded = settings.load(REPOSITORY / "params.yaml")
    return loaded.model_copy(update={"cv": loaded.cv.model_copy(update={"folds": 3})})


@pytest.fixture
def small_project(tmp_path: Path, params: Params) -> Path:
    """A project folder with raw data; training digits 0 and 40 are the same picture."""
    rng = np.random.default_rng(0)
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    for (images_name, labels_name), n in zip(idx.MNIST_FILES.values(), (60, 20), strict=True):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        images[n * 2 // 3] = images[0]
        (tmp_path / "data" / "mnist" / images_name).write_bytes(idx.encode(images))
        (tmp_path / "data" / "mnist" / labels_name).write_bytes(idx.encode((np.arange(n) % 10).astype(np.uint8)))
    raw.write_adopted(tmp_path / "data.dvc", "data", raw.tree_of(tmp_path / "data"), params.sources)
    return tmp_path

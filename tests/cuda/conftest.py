"""These tests run where torch finds a CUDA device, and nowhere else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder on a machine without a GPU."""
    if not torch.cuda.is_available():
        for item in items:
            if FOLDER in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device"))


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Undo what ``settle`` sets for a whole process, which a worker may keep and this one may not."""
    yield
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    torch.use_deterministic_algorithms(False)

"""Fixtures of more than one folder: a small finished project, which costs nothing where it is not asked for."""

import shutil
from pathlib import Path

import pytest

from shearbench.params import Params, load


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the whole pipeline, the longest file, so that the others run beside it."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, shared: nobody may change it."""
    import small_project  # here, as it imports torch

    root = tmp_path_factory.mktemp("finished")
    small_project.make(root)
    return root


@pytest.fixture
def finished(finished_once: Path, tmp_path: Path) -> Path:
    """A copy of the small project, to change at will."""
    root = tmp_path / "project"
    shutil.copytree(finished_once, root)
    return root


@pytest.fixture
def small_params(finished_once: Path) -> Params:
    """The parameters of the small project."""
    return load(finished_once / "params.yaml")


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project with the experiment ``normalisation`` and its outcome, shared: nobody may change its files."""
    import small_project  # here, as it imports torch

    root = tmp_path_factory.mktemp("asked")
    small_project.ask(root)
    return root

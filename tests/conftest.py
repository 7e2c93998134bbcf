"""Fixtures of more than one folder: a small finished project, which costs nothing where it is not asked for."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shearbench.data.raw import tree_of
from shearbench.params import Params, load
from shearbench.records import locked

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background job, and so every process of a test
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the whole pipeline, the longest file, so that the others run beside it."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


def _shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """Make a folder once for all the processes that run tests; see at the end that no test has changed a file of it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root, made = base / name, base / f"{name}.made"
    with locked(base / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(root, ignore_errors=True)  # of a process that failed
            root.mkdir()
            make(root)
            made.write_text(tree_of(root).hash)
    yield root
    assert tree_of(root).hash == made.read_text(), f"a test has changed {root}, which others read"


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small project, shared: nobody may change it."""
    import small_project  # here, as it imports torch

    yield from _shared(tmp_path_factory, "finished", small_project.make)


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
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small project with the ablation ``normalisation`` and its result, shared: nobody may change its files."""
    import small_project  # here, as it imports torch

    yield from _shared(tmp_path_factory, "asked", small_project.ask)

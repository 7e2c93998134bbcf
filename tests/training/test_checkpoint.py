"""A training that goes on from a checkpoint ends with the bits of one that was never interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shearbench.data.dataset import Dataset
from shearbench.training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, write_checkpoint
from shearbench.training.experiment import Experiment, Selection, Trainee, assemble
from shearbench.training.loop import fit
from shearbench.training.state import Progress

ROWS = Selection(np.arange(120), np.arange(120, 180), np.arange(180, 240))
HASHES = {"config": "a", "data": "b", "folds": "c", "code": "d"}
Make = Callable[..., Experiment]


@pytest.fixture(params=["mlp", "cnn2", "resnet18"])
def experiment(request: pytest.FixtureRequest, make_experiment: Make) -> Experiment:
    return make_experiment(
        architecture=request.param, width=0.1, epochs=4, patience=4, augment="affine", precision="bf16"
    )


def _fit(trainee: Trainee, **rest: Any) -> Progress:
    return fit(trainee.network, trainee.optimiser, trainee.parts, trainee.setting, **rest)


def _stop_after(path: Path, trainee: Trainee, epochs: int) -> None:
    """Train, write a checkpoint after ``epochs``, and break off."""

    def on_epoch_end(progress: Progress) -> None:
        if len(progress.history) == epochs:
            state = Checkpoint.of(trainee.network, trainee.optimiser, progress=progress, seconds=[1.5] * epochs)
            write_checkpoint(path, state, hashes=HASHES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(trainee, on_epoch_end=on_epoch_end)


@pytest.mark.parametrize("epochs", [1, 3])
def test_going_on_gives_the_bits_of_an_uninterrupted_run(
    experiment: Experiment, dataset: Dataset, tmp_path: Path, epochs: int
) -> None:
    whole = assemble(experiment, dataset, ROWS, seed=5)
    expected = _fit(whole)
    path = tmp_path / CHECKPOINT
    _stop_after(path, assemble(experiment, dataset, ROWS, seed=5), epochs)
    found = read_checkpoint(path, hashes=HASHES, device="cpu")
    assert found is not None
    resumed = assemble(experiment, dataset, ROWS, seed=5)
    found.restore(resumed.network, resumed.optimiser)
    progress = _fit(resumed, start=found.progress)
    assert found.seconds == (1.5,) * epochs
    assert progress.history == expected.history
    assert progress.batch_losses == expected.batch_losses
    assert progress.kept_epoch == expected.kept_epoch
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


@pytest.fixture
def path(make_experiment: Make, dataset: Dataset, tmp_path: Path) -> Path:
    """A checkpoint on disk."""
    _stop_after(tmp_path / CHECKPOINT, assemble(make_experiment(patience=2), dataset, ROWS, seed=5), 1)
    return tmp_path / CHECKPOINT


@pytest.mark.parametrize("changed", HASHES)
def test_other_settings_data_folds_or_code_are_refused(path: Path, changed: str) -> None:
    assert read_checkpoint(path, hashes=HASHES, device="cpu") is not None
    assert read_checkpoint(path, hashes={**HASHES, changed: "other"}, device="cpu") is None


@pytest.mark.parametrize("cut", [0, 5, 1000, -1])
def test_a_file_that_was_cut_is_refused(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:cut])
    assert read_checkpoint(path, hashes=HASHES, device="cpu") is None


def test_a_value_that_flipped_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert read_checkpoint(path, hashes=HASHES, device="cpu") is None


def test_none_is_none(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / CHECKPOINT, hashes=HASHES, device="cpu") is None

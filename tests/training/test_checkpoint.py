"""A training that goes on from a checkpoint ends with the bits of one that was never interrupted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shearbench.data.dataset import Dataset
from shearbench.training.checkpoint import CHECKPOINT, Checkpoint, read_checkpoint, write_checkpoint
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble
from shearbench.training.loop import fit
from shearbench.training.state import EpochCost, Progress

ROWS = Selection(np.arange(120), np.arange(120, 180), np.arange(180, 240))
COST = EpochCost(1.5, 2.5, 10**8)
HASHES = {"config": "a", "data": "b", "folds": "c", "code": "d"}
Make = Callable[..., TrainingConfig]


@pytest.fixture(params=["mlp", "cnn2", "resnet18"])
def config(request: pytest.FixtureRequest, make_config: Make) -> TrainingConfig:
    return make_config(architecture=request.param, width=0.1, epochs=4, patience=4, augment="affine", precision="bf16")


def _fit(training_state: TrainingState, **rest: Any) -> Progress:
    return fit(
        training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config, **rest
    )


def _stop_after(path: Path, training_state: TrainingState, epochs: int) -> None:
    """Train, write a checkpoint after ``epochs``, and break off."""

    def on_epoch_end(progress: Progress) -> None:
        if len(progress.history) == epochs:
            state = Checkpoint.of(
                training_state.network, training_state.optimiser, progress=progress, costs=[COST] * epochs
            )
            write_checkpoint(path, state, hashes=HASHES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(training_state, on_epoch_end=on_epoch_end)


@pytest.mark.parametrize("epochs", [1, 3])
def test_going_on_gives_the_bits_of_an_uninterrupted_run(
    config: TrainingConfig, dataset: Dataset, tmp_path: Path, epochs: int
) -> None:
    whole = assemble(config, dataset, ROWS, seed=5)
    expected = _fit(whole)
    path = tmp_path / CHECKPOINT
    _stop_after(path, assemble(config, dataset, ROWS, seed=5), epochs)
    found = read_checkpoint(path, hashes=HASHES, device="cpu")
    assert found is not None
    resumed = assemble(config, dataset, ROWS, seed=5)
    found.restore(resumed.network, resumed.optimiser)
    progress = _fit(resumed, start=found.progress)
    assert found.costs == (COST,) * epochs
    assert progress.history == expected.history
    assert progress.batch_losses == expected.batch_losses
    assert progress.chosen_epoch == expected.chosen_epoch
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


@pytest.fixture
def path(make_config: Make, dataset: Dataset, tmp_path: Path) -> Path:
    """A checkpoint on disk."""
    _stop_after(tmp_path / CHECKPOINT, assemble(make_config(patience=2), dataset, ROWS, seed=5), 1)
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

"""Data small enough to train on in a moment, ten blurred patterns with noise on them, and narrow networks for it."""

import os
import signal
from typing import Any

import numpy as np

from shearbench.data.dataset import Dataset
from shearbench.execution import Advance
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import FoldTask, train_fold
from shearbench.training.recipe import Hyperparameters, Space, space_of


def point(learning_rate: float, batch: int, width: float) -> Hyperparameters:
    """Return hyperparameters of a network by their names."""
    return {"learning_rate": learning_rate, "batch": batch, "width": width}


def space_of_three(rates: tuple[float, float], batch: tuple[int, ...], width: tuple[float, ...]) -> Space:
    """Return the space of the short form of ``search``."""
    return space_of({"learning_rate": list(rates), "batch": list(batch), "width": list(width)})


def make_dataset(count: int, seed: int, first_id: int = 0) -> Dataset:
    """Return ``count`` noisy copies of ten fixed patterns."""
    patterns = np.kron(np.random.default_rng(0).integers(0, 180, (10, 1, 7, 7)), np.ones((4, 4)))
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    inputs = (patterns[labels] + rng.integers(0, 75, (count, 1, 28, 28))).astype(np.uint8)
    return Dataset("patterns", np.arange(first_id, first_id + count), inputs, labels)


def config_with(**changes: Any) -> TrainingConfig:
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
    return TrainingConfig.model_validate(settings | changes)


def train_killed_once(task: FoldTask, advance: Advance) -> None:
    """Train a fold; after its second epoch the process kills itself, if it has not done so before."""
    mark, done = task.out.parent / "killed", 0

    def advance_or_die(units: int) -> None:
        nonlocal done
        done += units
        if done >= 2 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        advance(units)

    train_fold(task, advance_or_die)

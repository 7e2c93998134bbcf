"""Fit, score and store a fold of a scikit-learn classifier, like that of a network but without epochs.

:class:`Classifier` wraps it as a module from normalised inputs to log probabilities, for code written for networks.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from shearbench.data import normalise
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.data.units import units_of
from shearbench.errors import InputError
from shearbench.models import classical
from shearbench.records import write_bytes, write_npz
from shearbench.seeds import seed_for
from shearbench.training.config import Selection, TrainingConfig
from shearbench.training.results import (
    ESTIMATOR,
    LEAST_PROBABILITY,
    OUT_OF_FOLD,
    Files,
    Predictions,
    metrics_and_sizes,
    predictions_of,
    score,
    tables,
)
from shearbench.training.state import EpochCost, Progress, facts_of


class Classifier(nn.Module):
    """A fitted pipeline as a module that maps inputs, normalised by its normaliser, to log probabilities."""

    def __init__(self, pipeline: Pipeline, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.features = Pipeline(pipeline.steps[1:])  # without the normalisation

    def forward(self, inputs: Tensor) -> Tensor:
        """Return log probabilities (n, classes) for inputs (n, channels, height, width), on the CPU."""
        probabilities = classical.probabilities(self.features, inputs.float().cpu().numpy(), classes=self.classes)
        return torch.from_numpy(np.log(np.maximum(probabilities, LEAST_PROBABILITY)))


def fit(config: TrainingConfig, dataset: Dataset, rows: NDArray[np.int64], *, seed: int) -> Pipeline:
    """Return the pipeline fitted to some rows of a dataset, with the normalisation fitted to the same rows.

    Raises:
        InputError: if the pipeline cannot be made or fitted.
    """
    assert config.features is not None
    made = classical.make(config.architecture, config.features, config.options, seed=seed_for(seed, "weights"))
    inputs = dataset.inputs[rows]
    normaliser = normalise.fit_entry(config.entry, inputs)
    units = units_of(inputs, dataset.groups[rows])
    return classical.fit(made, config.architecture, normaliser, inputs, dataset.labels[rows], units)


def result(pipeline: Pipeline, dataset: Dataset, rows: Selection, *, cost: EpochCost) -> tuple[dict[str, Any], Files]:
    """Return the measured part of a fold's record, and the writers of its files; ``cost`` is that of the fit."""

    def predicted(selected: NDArray[np.int64]) -> Predictions:
        inputs, classes = dataset.inputs[selected], len(dataset.classes)
        return predictions_of(dataset, selected, classical.probabilities(pipeline, inputs, classes=classes))

    train, validation = predicted(rows.train), predicted(rows.validation)
    facts = {
        **facts_of([cost], epochs=[]),
        "parameters": classical.numbers(pipeline),
        "epochs": 0,
        "best_epoch": 0,
        **metrics_and_sizes(rows, *(score(each["probabilities"], each["labels"]) for each in (train, validation))),
    }
    files: Files = {
        ESTIMATOR: lambda path: write_bytes(path, classical.to_bytes(pipeline)),
        OUT_OF_FOLD: lambda path: write_npz(path, validation),
        **tables(Progress(), diagnosed=False),
    }
    return facts, files


def load_pipeline(run_folder: Path, architecture: str) -> Pipeline:
    """Load the fitted pipeline of a fold; its record must have been checked.

    Raises:
        InputError: if the file does not hold such a pipeline.
    """
    path = run_folder / ESTIMATOR
    try:
        return classical.from_bytes(path.read_bytes(), architecture)
    except InputError as error:
        raise InputError(
            f"{path} does not hold the classifier of its record ({error}); remove {run_folder} and run `dvc repro`"
        ) from None


def as_network(pipeline: Pipeline, classes: int) -> tuple[nn.Module, Normaliser]:
    """Return a fitted pipeline as a module in evaluation mode, with its normaliser."""
    first = pipeline.named_steps["normalise"]
    return Classifier(pipeline, classes).eval(), Normaliser(first.mean, first.scale)

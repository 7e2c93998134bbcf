"""Fit, score and store a fold of a scikit-learn classifier, like that of a network but without epochs.

:class:`Classifier` wraps it as a module from normalised inputs to log probabilities, for code written for networks.
"""

from collections.abc import Callable
from dataclasses import asdict
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
from shearbench.records import write_bytes, write_npz, write_text
from shearbench.seeds import seed_for
from shearbench.training.config import Selection, TrainingConfig
from shearbench.training.epoch_cost import EpochCost, facts_of
from shearbench.training.results import BATCHES, HISTORY, OUT_OF_FOLD, batches_csv, history_csv, score
from shearbench.training.weights import ESTIMATOR

_LEAST = float(np.finfo(np.float32).tiny)


class Classifier(nn.Module):
    """A fitted pipeline as a module that maps inputs, normalised by its normaliser, to log probabilities."""

    def __init__(self, pipeline: Pipeline, classes: int) -> None:
        """Store the pipeline, which starts with the normalisation, and the number of classes."""
        super().__init__()
        self.classes = classes
        self.pipeline = pipeline
        self.features = Pipeline(pipeline.steps[1:])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return log probabilities (n, classes) for inputs (n, channels, height, width), on the CPU."""
        probabilities = classical.probabilities(self.features, inputs.float().cpu().numpy(), classes=self.classes)
        return torch.from_numpy(np.log(np.maximum(probabilities, _LEAST)))


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


def result(
    pipeline: Pipeline, dataset: Dataset, rows: Selection, *, cost: EpochCost
) -> tuple[dict[str, Any], dict[str, Callable[[Path], None]]]:
    """Return the measured part of a fold's record, and the writers of the files beside it.

    Args:
        pipeline: fitted to ``rows.train``.
        dataset: the dataset of ``rows``.
        rows: rows of the fold.
        cost: cost of the fit.
    """
    assert rows.validation is not None
    probabilities = {
        name: classical.probabilities(pipeline, dataset.inputs[chosen], classes=len(dataset.classes))
        for name, chosen in (("train", rows.train), ("validation", rows.validation))
    }
    scores = {name: score(probabilities[name], dataset.labels[getattr(rows, name)]) for name in probabilities}
    facts = {
        **facts_of([cost], epochs=[]),
        "parameters": classical.numbers(pipeline),
        "epochs": 0,
        "best_epoch": 0,
        "metrics": {f"{part}_{key}": value for part, one in scores.items() for key, value in asdict(one).items()},
        "sizes": {"train": len(rows.train), "inner": 0, "validation": len(rows.validation)},
    }
    held_out: dict[str, NDArray[Any]] = {
        "ids": dataset.ids[rows.validation],
        "labels": dataset.labels[rows.validation],
        "probabilities": probabilities["validation"],
    }
    files: dict[str, Callable[[Path], None]] = {
        ESTIMATOR: lambda path: write_bytes(path, classical.to_bytes(pipeline)),
        HISTORY: lambda path: write_text(path, history_csv([])),
        BATCHES: lambda path: write_text(path, batches_csv([])),
        OUT_OF_FOLD: lambda path: write_npz(path, held_out),
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

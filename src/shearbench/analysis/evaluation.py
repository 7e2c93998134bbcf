"""Evaluate one run on the test set: a task for each fold's model, and an :class:`Evaluation` with their results.

A task runs in a single-threaded process, like training, so the numbers do not depend on the load.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.settings import Evaluate
from shearbench.data import dataset
from shearbench.data.dataset import Dataset, Samples
from shearbench.execution.settings import Chosen
from shearbench.predictions.folds import FoldRun
from shearbench.predictions.scores import BySample, Predictions, Scores, by_sample, score
from shearbench.records import read_npz, read_record


@dataclass(frozen=True, eq=False)
class Measured:
    """The result of a measurement: named arrays of one network, and facts for the record of the evaluation."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)


MEASURED = "measured.npz"
"""The file with the arrays of all measurements of an evaluation."""


@dataclass(frozen=True)
class FoldTask:
    """The input of :func:`infer`: the folders of a fold run and of a dataset, the device and the settings.

    ``explained`` are the rows of the test set to explain, for their true class.
    """

    fold_run: Path
    dataset: Path
    explained: tuple[int, ...]
    device: Chosen
    settings: Evaluate

    def reads(self) -> tuple[Path, ...]:
        """Return the folders that the task reads."""
        return (self.fold_run, self.dataset)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Test ``probabilities`` float32 (n, classes) of one model, its measurements by name, and the device."""

    probabilities: NDArray[np.float32]
    measured: Mapping[str, Measured]
    device: str


def infer(task: FoldTask, advance: Callable[[int], None]) -> FoldResult:
    """Predict the test set with one model in float32, and make its measurements; those of layers run on the CPU.

    Raises:
        InputError: if the run or the dataset is missing, damaged or differs from its record or card.
    """
    # Takes two seconds to load, and the process that hands out the tasks does not need it.
    from shearbench.analysis.summaries import measured
    from shearbench.analysis.trained import TrainedModel
    from shearbench.training.hardware import resolve, settle
    from shearbench.training.results import load_network

    hardware = resolve(task.device, "fp32")
    settle(hardware)
    test = dataset.load(task.dataset, "test")
    network, normaliser, record = load_network(task.fold_run)
    trained = TrainedModel(network, normaliser, record, test, task.dataset, task.explained, hardware, task.settings)
    found = measured(trained)
    probabilities = trained.probabilities(test.inputs)
    advance(1)
    return FoldResult(probabilities, found, hardware.device)


def stored_arrays(results: Sequence[FoldResult]) -> dict[str, NDArray[Any]]:
    """Return all arrays of all measurements, named ``<fold>/<measurement>/<array>``, for :data:`MEASURED`."""
    return {
        f"{fold}/{measurement}/{name}": array
        for fold, result in enumerate(results)
        for measurement, measured in result.measured.items()
        for name, array in measured.arrays.items()
    }


def read_results(folder: Path) -> list[FoldResult]:
    """Return the results of a finished evaluation, so that its figures can be drawn again.

    Raises:
        InputError: if a file is missing or damaged.
    """
    record, arrays = read_record(folder), read_npz(folder / MEASURED)
    found: list[dict[str, dict[str, Any]]] = [
        {name: {} for name in record["measurements"]} for _ in record["fold_records"]
    ]
    for key, array in arrays.items():
        fold, measurement, name = key.split("/", 2)
        found[int(fold)][measurement][name] = array
    results = []
    for probabilities, each in zip(read_npz(folder / "test_predictions.npz")["probabilities"], found, strict=True):
        measured = {name: Measured(own, record["measurements"][name]) for name, own in each.items()}
        results.append(FoldResult(probabilities, measured, record["read_on"][0]))
    return results


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The fold runs and the data of a run, the explained rows of the test set, and the result of each network.

    ``samples`` are the images that the test set was made from, row by row.
    """

    fold_runs: Sequence[FoldRun]
    train: Dataset
    test: Dataset
    samples: Samples
    explained: tuple[int, ...]
    settings: Evaluate
    results: Sequence[FoldResult]

    @property
    def name(self) -> str:
        """The name of the run in figures."""
        return f"{self.fold_runs[0].record['model']} on {self.fold_runs[0].record['dataset']}"

    @property
    def is_network(self) -> bool:
        """Whether the run has networks, not classifiers of scikit-learn."""
        return self.fold_runs[0].is_network

    @property
    def is_field(self) -> bool:
        """Whether the inputs are displacement fields (u_x, u_y), not images."""
        return "load" in self.entry

    @property
    def entry(self) -> Mapping[str, Any]:
        """The dataset's entry in ``params.yaml``."""
        return dict(self.fold_runs[0].record["config"]["entry"])

    @cached_property
    def out_of_fold(self) -> list[Predictions]:
        """Out-of-fold predictions of each network."""
        return [fold_run.out_of_fold for fold_run in self.fold_runs]

    @cached_property
    def tested(self) -> list[Predictions]:
        """Test predictions of each network."""
        return [Predictions(self.test.ids, self.test.labels, result.probabilities) for result in self.results]

    @cached_property
    def scores(self) -> dict[str, list[Scores]]:
        """Split -> the scores of each fold's network."""
        return {"out_of_fold": list(map(score, self.out_of_fold)), "test": list(map(score, self.tested))}

    @cached_property
    def by_sample(self) -> dict[str, BySample]:
        """Split -> predictions of each sample: out of fold by one network per repeat, on the test set by all."""
        tested = np.stack([result.probabilities for result in self.results])
        return {"out_of_fold": by_sample(self.out_of_fold), "test": BySample(self.test.ids, self.test.labels, tested)}

    @property
    def seed(self) -> int:
        """The ``seed`` of ``params.yaml`` that the run was trained with."""
        return int(self.fold_runs[0].record["seed"])

    @property
    def repeats(self) -> int:
        """The number of out-of-fold predictions of each training sample: one per repeat."""
        return len(self.by_sample["out_of_fold"].probabilities)

    def stacked(self, measurement: str, name: str) -> NDArray[Any]:
        """Return an array of a measurement for all networks: (folds, ...)."""
        return np.stack([result.measured[measurement].arrays[name] for result in self.results])

    def facts(self, measurement: str) -> Mapping[str, Any]:
        """Return the facts of a measurement for the first fold's network."""
        return self.results[0].measured[measurement].facts

"""One run on the sealed test set: a task for each fold's model, and an :class:`Evaluation` of what they found.

A task runs in a single-threaded process, like training, so that the numbers do not depend on the load.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.measured import Measured
from shearbench.analysis.settings import Evaluate
from shearbench.data import dataset
from shearbench.data.dataset import Dataset, Samples
from shearbench.execution.settings import Chosen
from shearbench.predictions.folds import FoldRun
from shearbench.predictions.scores import BySample, Predictions, Scores, by_sample, score
from shearbench.records import read_npz, read_record

MEASURED = "measured.npz"
"""The file with the arrays of all measurements of an evaluation."""


@dataclass(frozen=True)
class FoldTask:
    """The network and its test set: the folders of a fold run and of a dataset, and the device.

    ``explained`` are the rows of the test set to explain, for their true class.
    """

    fold_run: Path
    dataset: Path
    explained: tuple[int, ...]
    device: Chosen
    settings: Evaluate

    def reads(self) -> tuple[Path, ...]:
        """Return the folders that it needs."""
        return (self.fold_run, self.dataset)


@dataclass(frozen=True, eq=False)
class FoldResult:
    """``probabilities`` float32 (n, 10) of the test digits, the answer to each probe by its name, and where."""

    probabilities: NDArray[np.float32]
    measured: Mapping[str, Measured]
    device: str


def infer(task: FoldTask, advance: Callable[[int], None]) -> FoldResult:
    """Predict the test set with one network in float32, and ask it every probe; those that look into it, on the CPU.

    Raises:
        InputError: if the run or the dataset is missing, damaged or not what its record or card vouches for.
    """
    # Two seconds to load, which the process that hands out the tasks is spared.
    from shearbench.analysis.measurements import measured
    from shearbench.analysis.trained import TrainedModel
    from shearbench.training.hardware import resolve, settle
    from shearbench.training.weights import load_network

    hardware = resolve(task.device, "fp32")
    settle(hardware)
    test = dataset.load(task.dataset, "test")
    network, normaliser, record = load_network(task.fold_run)
    trained = TrainedModel(network, normaliser, record, test, task.dataset, task.explained, hardware, task.settings)
    found = measured(trained)
    probabilities = trained.read(test.inputs)
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
    probabilities = read_npz(folder / "test_predictions.npz")["probabilities"]
    return [
        FoldResult(
            probabilities[fold],
            {name: Measured(own, record["measurements"][name]) for name, own in each.items()},
            record["read_on"][0],
        )
        for fold, each in enumerate(found)
    ]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The folds of a run, its data, the rows of the test set that were explained, and each network's answers.

    ``samples`` are the images that the test set was made of, row by row.
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
        """Whether the run has networks, and no classifiers of scikit-learn."""
        return self.fold_runs[0].is_network

    @property
    def is_field(self) -> bool:
        """Whether the inputs are displacement fields (u_x, u_y), and not images."""
        return "load" in self.entry

    @property
    def entry(self) -> Mapping[str, Any]:
        """The dataset's entry in ``params.yaml``."""
        entry: Mapping[str, Any] = self.fold_runs[0].record["config"]["entry"]
        return entry

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
        return {
            "out_of_fold": [score(predictions) for predictions in self.out_of_fold],
            "test": [score(predictions) for predictions in self.tested],
        }

    @cached_property
    def by_sample(self) -> dict[str, BySample]:
        """Split -> what networks say of each digit: out of fold one of each repeat, on the test set all of them."""
        said = np.stack([each.probabilities for each in self.tested])
        return {"out_of_fold": by_sample(self.out_of_fold), "test": BySample(self.test.ids, self.test.labels, said)}

    @property
    def seed(self) -> int:
        """The ``seed`` of ``params.yaml`` that the run was trained with."""
        return int(self.fold_runs[0].record["seed"])

    @cached_property
    def repeats(self) -> int:
        """The number of out-of-fold predictions of each training digit: one per repeat."""
        ids = np.concatenate([predictions.ids for predictions in self.out_of_fold])
        return len(ids) // len(np.unique(ids))

    def stacked(self, measurement: str, name: str) -> NDArray[Any]:
        """Return an array that a probe found, of all networks: (folds, ...)."""
        return np.stack([result.measured[measurement].arrays[name] for result in self.results])

    def facts(self, measurement: str) -> Mapping[str, Any]:
        """Return what a probe noted of the first fold's network."""
        return self.results[0].measured[measurement].facts

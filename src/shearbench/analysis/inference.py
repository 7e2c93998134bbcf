"""One fold's network on the sealed test set: its probabilities, and its answers to every probe.

Runs as a task in a single-threaded process, like training, so that the numbers do not depend on the load.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.measured import Measured
from shearbench.analysis.settings import Evaluate
from shearbench.data import dataset
from shearbench.execution.settings import Chosen


@dataclass(frozen=True)
class FoldTask:
    """Which network reads which test set: the folders of a fold run and of a dataset, and the device to do it on.

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

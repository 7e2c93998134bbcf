"""One fold's network on the sealed test set: its probabilities, and where it looks in some of the digits.

Runs as a task in a single-threaded process, like training, so that the numbers do not depend on the load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from shearbench.data import dataset
from shearbench.evaluation.gradcam import Attribution, attribute
from shearbench.training.hardware import resolve, settle
from shearbench.training.weights import load_network, predict


@dataclass(frozen=True)
class FoldTask:
    """Which network reads which test set: the folders of a fold run and of a dataset, and the device to do it on.

    ``explained`` are the rows of the test set to explain, for their true class.
    """

    run: Path
    dataset: Path
    explained: tuple[int, ...]
    device: Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, eq=False)
class FoldResult:
    """``probabilities`` float32 (n, 10); of the explained rows the normalised inputs ``seen`` and their maps."""

    probabilities: NDArray[np.float32]
    seen: NDArray[np.float32]
    attribution: Attribution


def infer(task: FoldTask, advance: Callable[[int], None]) -> FoldResult:
    """Predict the test set with one network in float32, and explain some digits, on the CPU.

    Raises:
        InputError: if the run or the dataset is missing, damaged or not what its record or card vouches for.
    """
    hardware = resolve(task.device, "fp32")
    settle(hardware)
    test = dataset.load(task.dataset, "test")
    network, normaliser, _ = load_network(task.run)
    rows = list(task.explained)
    seen = normaliser.apply(test.inputs[rows])
    attribution = attribute(network, torch.from_numpy(seen), torch.from_numpy(test.labels[rows]))
    probabilities = predict(network, test.inputs, normaliser=normaliser, device=hardware.device)
    advance(1)
    return FoldResult(probabilities, seen, attribution)


def one_of_each_class(ids: NDArray[np.int64], labels: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the row of the lowest id of each class, so that every dataset shows the same digits."""
    by_id = np.argsort(ids)
    _, first = np.unique(labels[by_id], return_index=True)
    return tuple(int(row) for row in by_id[first])

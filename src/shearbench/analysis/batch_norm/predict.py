"""Predict the same samples with three kinds of batch-norm statistics.

- ``as_trained``: the running averages of the training. Every prediction of shearbench uses them.
- ``batch_statistics``: the statistics of each batch, as in training.
- ``recalibrated``: running averages measured anew on training samples.

The weights are the same in all three. A network without batch normalisation has ``as_trained`` only.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BATCH, RECALIBRATED
from shearbench.data.normalise import Normaliser
from shearbench.seeds import generator_for
from shearbench.training.hardware import Hardware
from shearbench.training.results import predict
from shearbench.training.state import layers_of, recalibrated, with_batch_statistics

CALIBRATION = 1000
"""The most training samples for recalibration."""

Predictor = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Raw inputs (n, channels, height, width) -> probabilities (n, classes)."""


def drawn_from(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``CALIBRATION`` of the rows, or all of fewer rows; the selection is always the same."""
    return generator_for("diagnosis", "train").permutation(rows)[:CALIBRATION]


def predictors_of(
    network: nn.Module, normaliser: Normaliser, calibration: NDArray[Any], *, batch: int, hardware: Hardware
) -> dict[str, Predictor]:
    """Return statistics -> predictor; inputs ``calibration`` (n, channels, height, width) recalibrate the averages."""
    placed, device = hardware.place(network), hardware.device
    as_trained = partial(predict, placed, normaliser=normaliser, device=device)
    if not layers_of(placed):
        return {AS_TRAINED: as_trained}
    seen = torch.from_numpy(normaliser.apply(calibration)).to(device)
    averaged = recalibrated(placed, seen.tensor_split(_parts(len(seen), batch)), hardware)
    in_batches = partial(predict, with_batch_statistics(placed), normaliser=normaliser, device=device)

    def by_batch(inputs: NDArray[Any]) -> NDArray[np.float32]:
        # Shuffled as in training and split evenly: a batch of one class, or a small one, has statistics of its own.
        order = generator_for("diagnosis", "batches").permutation(len(inputs))
        batches = np.array_split(order, _parts(len(inputs), batch))
        found = [in_batches(inputs[rows], batch=len(rows)) for rows in batches]
        return np.concatenate(found)[np.argsort(np.concatenate(batches))]

    return {
        AS_TRAINED: as_trained,
        BATCH: by_batch,
        RECALIBRATED: partial(predict, averaged, normaliser=normaliser, device=device),
    }


def _parts(count: int, batch: int) -> int:
    """Return the number of even batches of about ``batch`` samples, and of 2 or more: one has no statistics."""
    return max(1, min(round(count / batch), count // 2))

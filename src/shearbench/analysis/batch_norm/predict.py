"""Predict the same samples with three kinds of batch-norm statistics.

- ``as_trained``: the running averages of the training. Every prediction of shearbench uses them.
- ``batch_statistics``: the statistics of each batch, as in training.
- ``recalibrated``: running averages measured anew on training samples.

The weights are the same in all three. A network without batch normalisation has ``as_trained`` only.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BATCH, RECALIBRATED
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.seeds import generator_for
from shearbench.training.hardware import Device, Hardware
from shearbench.training.running_averages import layers_of, recalibrated, with_batch_statistics
from shearbench.training.weights import predict

CALIBRATION = 1000
"""The most training samples for recalibration and for the training accuracy of :func:`diagnose`."""

Networks = Mapping[str, nn.Module]


def diagnose(
    network: nn.Module,
    normaliser: Normaliser,
    train: Dataset,
    test: Dataset,
    *,
    batch: int = 100,
    hardware: Hardware | None = None,
) -> dict[str, float]:
    """Return ``train_<bn_statistics>`` and ``test_<bn_statistics>``: the accuracies by batch-norm statistics.

    Args:
        network: in evaluation mode; unchanged afterwards.
        normaliser: the network's own.
        train: its training samples; ``CALIBRATION`` of them are drawn.
        test: samples to score.
        batch: size of the batches for ``batch_statistics``; that of the recipe.
        hardware: device and precision; default: the CPU in float32.
    """
    settled = hardware or Hardware()
    drawn = train.only(drawn_from(np.arange(len(train.ids))))
    networks_by_statistics = networks_by_statistics_of(network, normaliser, drawn.inputs, batch=batch, hardware=settled)

    def accuracy(bn_statistics: str, data: Dataset) -> float:
        probabilities = read(
            networks_by_statistics[bn_statistics],
            bn_statistics,
            data.inputs,
            normaliser,
            batch=batch,
            device=settled.device,
        )
        return float((probabilities.argmax(axis=1) == data.labels).mean())

    splits = {"train": drawn, "test": test}
    return {
        f"{split}_{bn_statistics}": accuracy(bn_statistics, data)
        for split, data in splits.items()
        for bn_statistics in networks_by_statistics
    }


def drawn_from(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``CALIBRATION`` of the rows, or all of fewer rows; the selection is always the same."""
    return generator_for("diagnosis", "train").permutation(rows)[:CALIBRATION]


def networks_by_statistics_of(
    network: nn.Module, normaliser: Normaliser, calibration: NDArray[Any], *, batch: int, hardware: Hardware
) -> Networks:
    """Return statistics -> network; inputs ``calibration`` (n, channels, height, width) recalibrate the averages."""
    placed = hardware.place(network)
    if not layers_of(placed):
        return {AS_TRAINED: placed}
    seen = torch.from_numpy(normaliser.apply(calibration)).to(hardware.device)
    batches = seen.tensor_split(_parts(len(seen), batch))
    return {
        AS_TRAINED: placed,
        BATCH: with_batch_statistics(placed),
        RECALIBRATED: recalibrated(placed, batches, hardware),
    }


def read(
    network: nn.Module, bn_statistics: str, inputs: NDArray[Any], normaliser: Normaliser, *, batch: int, device: Device
) -> NDArray[np.float32]:
    """Return probabilities (n, classes) of raw inputs by a network of :func:`networks_by_statistics_of`.

    With batch statistics the samples are shuffled first, as in training, and split evenly: batches of one class, or a
    small last one, would have statistics of their own.
    """
    if bn_statistics != BATCH:
        return predict(network, inputs, normaliser=normaliser, device=device)
    order = generator_for("diagnosis", "batches").permutation(len(inputs))
    batches = np.array_split(order, _parts(len(inputs), batch))
    found = [predict(network, inputs[rows], normaliser=normaliser, batch=len(rows), device=device) for rows in batches]
    return np.concatenate(found)[np.argsort(np.concatenate(batches))]


def _parts(count: int, batch: int) -> int:
    """Return the number of even batches of about ``batch`` samples."""
    return max(1, round(count / batch))

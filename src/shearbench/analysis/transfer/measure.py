"""Predict inputs that a network was not trained for: other datasets, and other steps of its load.

For other datasets a network predicts its share of the test samples twice: with its own normalisation, and with one of
the same kind refitted to the other dataset's training samples. Meaningless combinations are recorded as skipped, with
the reason (:mod:`shearbench.analysis.transfer.adaptation`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.settings import Evaluate
from shearbench.analysis.trained import TrainedModel
from shearbench.analysis.transfer.adaptation import (
    AS_MEASURED,
    DIVIDED,
    OWN,
    REFITTED,
    obstacle,
    obstacle_to_refitting,
    with_channels,
)
from shearbench.data import dataset
from shearbench.data.config import origin_of
from shearbench.data.folds import read_folds
from shearbench.data.normalise import Normaliser, fit
from shearbench.mechanics.loads import displacements_of
from shearbench.predictions.selection import one_of_each_class
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.weights import load_network, predict


@dataclass(frozen=True)
class TransferTask:
    """The input of :func:`transfer`: folders of a fold run, its dataset and ``build/``; the other datasets."""

    fold_run: Path
    dataset: Path
    build: Path
    others: tuple[str, ...]
    device: Device
    settings: Evaluate

    def reads(self) -> tuple[Path, ...]:
        """Return the files and folders that the task reads."""
        datasets = (self.build / "datasets" / name for name in self.others)
        return (self.fold_run, self.dataset, *datasets, self.build / "severity")


@dataclass(frozen=True, eq=False)
class Reading:
    """Result of one network on one input: ``correct`` (n,) of the samples ``rows`` (n,), or the reason for none.

    ``name`` is another dataset or a step, ``adaptation`` the preparation of the inputs.
    """

    name: str
    adaptation: str
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    skipped: str = ""


@dataclass(frozen=True, eq=False)
class Readings:
    """All results of one network, on other datasets and steps of its load, and the device."""

    datasets: list[Reading]
    steps: list[Reading]
    device: str


def transfer(task: TransferTask, advance: Callable[[int], None]) -> Readings:
    """Predict the other datasets with one network and, for a model of fields, its own samples at the other steps.

    Raises:
        InputError: if a file is missing or damaged.
    """
    hardware = Hardware(task.device)
    settle(hardware)
    test = dataset.load(task.dataset, "test")
    network, normaliser, record = load_network(task.fold_run)
    explained = one_of_each_class(test.ids, test.labels)
    trained = TrainedModel(network, normaliser, record, test, task.dataset, explained, hardware, task.settings)
    datasets = [reading for name in task.others for reading in read_dataset(trained, name, task.build)]
    steps = list(read_steps(trained, task.build)) if trained.is_field else []
    advance(1)
    return Readings(datasets, steps, task.device)


def read_dataset(trained: TrainedModel, name: str, build: Path) -> Iterator[Reading]:
    """Yield the results of a network on another dataset, with either normalisation."""
    folder, rows = build / "datasets" / name, trained.share
    entry = dataset.read_card(folder)["entry"]
    reason = obstacle(trained.entry, entry)
    if reason:
        yield from (_skipped(name, adaptation, reason) for adaptation in (OWN, REFITTED))
        return
    channels = trained.test.channels
    test = dataset.load(folder, "test")
    inputs, labels = with_channels(test.inputs[rows], channels), test.labels[rows]
    assert np.array_equal(test.ids[rows], trained.test.ids[rows]), "sample ids are shared"
    yield Reading(name, OWN, rows, trained.read(inputs).argmax(axis=1) == labels)
    reason = obstacle_to_refitting(trained.entry, entry)
    if reason:
        yield _skipped(name, REFITTED, reason)
        return
    train = dataset.load(folder, "train")
    seen, _ = read_folds(folder / dataset.FOLDS).split(trained.fold, trained.train_on)
    refitted = fit(trained.entry["normalise"], with_channels(train.inputs[seen], channels))
    yield Reading(name, REFITTED, rows, _predict(trained, inputs, refitted) == labels)


def read_steps(trained: TrainedModel, build: Path) -> Iterator[Reading]:
    """Yield the results of a network on its share of the test samples at every step of its load."""
    rows, entry = trained.share, trained.entry
    fields = dataset.read_fields(build / "severity" / f"{origin_of(entry)}-{entry['load']}.npz")
    place = {int(number): index for index, number in enumerate(fields.ids)}
    chosen = [place[int(number)] for number in trained.test.ids[rows]]
    labels, displacements = trained.test.labels[rows], displacements_of(entry["load"])
    for step in fields.steps.tolist():
        measured = fields.at_step(step)[chosen]
        scale = np.float32(displacements[entry["step"]] / displacements[step])
        for adaptation, inputs in ((AS_MEASURED, measured), (DIVIDED, measured * scale)):
            yield Reading(str(step), adaptation, rows, trained.read(inputs).argmax(axis=1) == labels)


def _predict(trained: TrainedModel, inputs: NDArray[Any], normaliser: Normaliser) -> NDArray[np.int64]:
    """Return the predicted classes (n,) of inputs with another normaliser than the network's own."""
    probabilities = predict(trained.reader, inputs, normaliser=normaliser, device=trained.hardware.device)
    classes: NDArray[np.int64] = probabilities.argmax(axis=1)
    return classes


def _skipped(name: str, adaptation: str, reason: str) -> Reading:
    return Reading(name, adaptation, np.empty(0, np.int64), np.empty(0, np.bool_), reason)

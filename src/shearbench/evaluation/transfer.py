"""A network on inputs that it was not made for: the other datasets, and the other steps of its load.

Of other datasets a network reads its share of the test digits, normalised by its own normaliser, and once more by one
of the same kind that is refitted to the other dataset's training digits. What has no meaning is a recorded skip with a
reason (:mod:`shearbench.evaluation.adaptation`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data import dataset
from shearbench.data.folds import read_folds
from shearbench.data.normalise import Normaliser, fit
from shearbench.evaluation.adaptation import (
    AS_MEASURED,
    DIVIDED,
    OWN,
    REFITTED,
    obstacle,
    obstacle_to_refitting,
    with_channels,
)
from shearbench.evaluation.choice import one_of_each_class
from shearbench.evaluation.settings import Evaluate
from shearbench.evaluation.subject import Subject
from shearbench.mechanics.loads import displacements_of
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.weights import load_network, predict


@dataclass(frozen=True)
class TransferTask:
    """Which network reads what: the folders of a fold run, of its dataset and of ``build/``; the other datasets."""

    run: Path
    dataset: Path
    build: Path
    others: tuple[str, ...]
    device: Device
    settings: Evaluate

    def reads(self) -> tuple[Path, ...]:
        """Return the files and folders that it needs."""
        datasets = (self.build / "datasets" / name for name in self.others)
        return (self.run, self.dataset, *datasets, self.build / "severity", self.build / "folds.npz")


@dataclass(frozen=True, eq=False)
class Reading:
    """What one network made of one input: ``correct`` (n,) of the digits ``rows`` (n,), or why it has not read it.

    ``name`` is another dataset or a step, ``way`` how the input was brought before it.
    """

    name: str
    way: str
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    skipped: str = ""


@dataclass(frozen=True, eq=False)
class Readings:
    """All that one network read: other datasets, and steps of its load; and on which device."""

    datasets: list[Reading]
    steps: list[Reading]
    device: str


def transfer(task: TransferTask, advance: Callable[[int], None]) -> Readings:
    """Let one network read the other datasets and, if it reads fields, its own digits at the other steps.

    Raises:
        InputError: if a file is missing or damaged.
    """
    hardware = Hardware(task.device)
    settle(hardware)
    test = dataset.load(task.dataset, "test")
    network, normaliser, record = load_network(task.run)
    explained = one_of_each_class(test.ids, test.labels)
    subject = Subject(network, normaliser, record, test, task.dataset, explained, hardware, task.settings)
    datasets = [reading for name in task.others for reading in read_dataset(subject, name, task.build)]
    steps = list(read_steps(subject, task.build)) if subject.is_field else []
    advance(1)
    return Readings(datasets, steps, task.device)


def read_dataset(subject: Subject, name: str, build: Path) -> Iterator[Reading]:
    """Yield what a network makes of another dataset, by either normalisation."""
    folder, rows = build / "datasets" / name, subject.share
    entry = dataset.read_card(folder)["entry"]
    reason = obstacle(subject.entry, entry)
    if reason:
        yield from (_skipped(name, way, reason) for way in (OWN, REFITTED))
        return
    channels = subject.test.channels
    test = dataset.load(folder, "test")
    inputs, labels = with_channels(test.inputs[rows], channels), test.labels[rows]
    assert np.array_equal(test.ids[rows], subject.test.ids[rows]), "sample ids are shared"
    yield Reading(name, OWN, rows, subject.read(inputs).argmax(axis=1) == labels)
    reason = obstacle_to_refitting(subject.entry, entry)
    if reason:
        yield _skipped(name, REFITTED, reason)
        return
    train = dataset.load(folder, "train")
    seen, _ = read_folds(build / "folds.npz").split(subject.fold)
    refitted = fit(subject.entry["normalise"], with_channels(train.inputs[seen], channels))
    yield Reading(name, REFITTED, rows, _read(subject, inputs, refitted) == labels)


def read_steps(subject: Subject, build: Path) -> Iterator[Reading]:
    """Yield what a network makes of its share of the test digits at every step of its load."""
    rows, entry = subject.share, subject.entry
    fields = dataset.read_fields(build / "severity" / f"{entry['load']}.npz")
    place = {int(number): index for index, number in enumerate(fields.ids)}
    chosen = [place[int(number)] for number in subject.test.ids[rows]]
    labels, displacements = subject.test.labels[rows], displacements_of(entry["load"])
    for step in fields.steps.tolist():
        measured = fields.at_step(step)[chosen]
        scale = np.float32(displacements[entry["step"]] / displacements[step])
        for way, inputs in ((AS_MEASURED, measured), (DIVIDED, measured * scale)):
            yield Reading(str(step), way, rows, subject.read(inputs).argmax(axis=1) == labels)


def _read(subject: Subject, inputs: NDArray[Any], normaliser: Normaliser) -> NDArray[np.int64]:
    """Return the class that a network reads in inputs normalised in another way than its own."""
    probabilities = predict(subject.reader, inputs, normaliser=normaliser, device=subject.hardware.device)
    classes: NDArray[np.int64] = probabilities.argmax(axis=1)
    return classes


def _skipped(name: str, way: str, reason: str) -> Reading:
    return Reading(name, way, np.empty(0, np.int64), np.empty(0, np.bool_), reason)

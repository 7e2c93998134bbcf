"""Predict inputs that a network was not trained for: other datasets, and other steps of its load.

For other datasets a network predicts its share of the test samples twice: with its own normalisation, and with one of
the same kind refitted to the other dataset's training samples. Meaningless combinations are recorded as skipped, with
the reason.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shearbench.analysis.settings import Evaluate, one_of_each_class
from shearbench.analysis.trained import TrainedModel
from shearbench.data import dataset
from shearbench.data.config import Entry, origin_of
from shearbench.data.folds import read_folds
from shearbench.data.normalise import fit
from shearbench.mechanics.loads import displacements_of
from shearbench.plotting.files import table
from shearbench.predictions.folds import FoldRun
from shearbench.predictions.scores import Estimate, accuracy_of
from shearbench.records import hash_of, write_record
from shearbench.training.hardware import Device, Hardware, settle
from shearbench.training.results import load_network

AS_MEASURED, DIVIDED = "as measured", "divided by the load"
"""Fields at another step: unchanged, or times own displacement / displacement of the step (linear material)."""
OWN, REFITTED = "own", "refitted"
"""Normalisation of another dataset: the network's own, or one of its kind fitted to that dataset."""


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
class InputResult:
    """Result of one network on one input: ``correct`` (n,) of the samples ``rows`` (n,), or the reason for none.

    ``name`` is another dataset or a step, ``adaptation`` the preparation of the inputs.
    """

    name: str
    adaptation: str
    rows: NDArray[np.int64]
    correct: NDArray[np.bool_]
    skipped: str = ""

    @classmethod
    def without(cls, name: str, adaptation: str, reason: str) -> "InputResult":
        """Return the result of an input that the network cannot predict."""
        return cls(name, adaptation, np.empty(0, np.int64), np.empty(0, np.bool_), reason)


@dataclass(frozen=True, eq=False)
class TransferResult:
    """All results of one network, on other datasets and steps of its load; the height of its samples, the device."""

    datasets: list[InputResult]
    steps: list[InputResult]
    height: int
    device: str


def transfer(task: TransferTask, advance: Callable[[int], None]) -> TransferResult:
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
    datasets = [result for name in task.others for result in on_dataset(trained, name, task.build)]
    steps = list(at_steps(trained, task.build)) if trained.is_field else []
    advance(1)
    return TransferResult(datasets, steps, test.size[0], task.device)


def on_dataset(trained: TrainedModel, name: str, build: Path) -> Iterator[InputResult]:
    """Yield the results of a network on another dataset, with either normalisation."""
    folder, rows = build / "datasets" / name, trained.share
    entry = dataset.read_card(folder)["entry"]
    reason = obstacle(trained.entry, entry)
    if reason:
        yield from (InputResult.without(name, adaptation, reason) for adaptation in (OWN, REFITTED))
        return
    test, channels = dataset.load(folder, "test"), trained.test.channels
    assert np.array_equal(test.ids[rows], trained.test.ids[rows]), "sample ids are shared"
    inputs, labels = with_channels(test.inputs[rows], channels), test.labels[rows]
    yield InputResult(name, OWN, rows, trained.correct(inputs, labels))
    reason = obstacle_to_refitting(trained.entry, entry)
    if reason:
        yield InputResult.without(name, REFITTED, reason)
        return
    train = dataset.load(folder, "train")
    seen, _ = read_folds(folder / dataset.FOLDS).split(trained.fold, trained.record["config"]["train_on"])
    refitted = fit(trained.entry["normalise"], with_channels(train.inputs[seen], channels))
    yield InputResult(name, REFITTED, rows, trained.correct(inputs, labels, refitted))


def at_steps(trained: TrainedModel, build: Path) -> Iterator[InputResult]:
    """Yield the results of a network on its share of the test samples at every step of its load."""
    rows, entry = trained.share, trained.entry
    fields = dataset.read_fields(build / "severity" / f"{origin_of(entry)}-{entry['load']}.npz")
    place = {int(number): index for index, number in enumerate(fields.ids)}
    chosen = [place[int(number)] for number in trained.test.ids[rows]]
    labels, displacements = trained.test.labels[rows], displacements_of(entry["load"], trained.test.size[0])
    for step in fields.steps.tolist():
        measured = fields.at_step(step)[chosen]
        scale = np.float32(displacements[entry["step"]] / displacements[step])
        for adaptation, inputs in ((AS_MEASURED, measured), (DIVIDED, measured * scale)):
            yield InputResult(str(step), adaptation, rows, trained.correct(inputs, labels))


def obstacle(own: Entry, other: Entry) -> str:
    """Return why a network of ``own`` cannot predict ``other`` (entries of ``params.yaml``), or an empty text."""
    if origin_of(own) != origin_of(other):
        return f"its samples are of another source, {origin_of(other)}"
    if _without(own, "normalise", "channels") == _without(other, "normalise", "channels"):
        return "the same inputs: a network normalises them itself"
    if "load" in other and own.get("channels") == 1:
        return "it takes one channel, and a field has two"
    return ""


def obstacle_to_refitting(own: Entry, other: Entry) -> str:
    """Return why the kind of a network's normalisation cannot be fitted to another dataset, or an empty text."""
    if own["normalise"] in ("none", "unit", "divide255"):
        return f"its normalisation, {own['normalise']}, is a constant"
    if own["normalise"] == "detrend":
        return "its normalisation, detrend, is that of its own load"
    return ""


def _without(entry: Entry, *names: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in names}


def with_channels(inputs: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return inputs (n, c, h, w) with ``channels`` channels, copies of the first one if the number differs."""
    if inputs.shape[1] == channels:
        return inputs
    return np.repeat(inputs[:, :1], channels, axis=1)


Run = tuple[str, str]
"""Dataset and model."""

_ACCURACY = ("n", "readings", "accuracy_mean", "accuracy_sd", "accuracy_low", "accuracy_high")
_DATASETS = ["dataset", "model", "reads", "normalisation", "skipped", *_ACCURACY]
_STEPS = ["dataset", "model", "step", "displacement", "trained", "adaptation", *_ACCURACY]


def write_transfer(
    folder: Path, fold_runs: Mapping[Run, Sequence[FoldRun]], results: Mapping[Run, Sequence[TransferResult]]
) -> None:
    """Write ``datasets.csv``, ``severity.csv`` and, last, their record.

    ``datasets.csv``: ``dataset, model, reads, normalisation, skipped``, then the columns of :func:`accuracy_of`;
    ``skipped`` is the reason if they are empty.

    ``severity.csv``: ``dataset, model, step, displacement, trained, adaptation``, then the same columns; ``trained``
    marks the step that the networks were trained at.
    """
    steps = [row for run, folds in fold_runs.items() for row in _step_rows(run, folds[0], results[run])]
    datasets = [row for run in fold_runs for row in _dataset_rows(run, results[run])]
    digests = {
        f"{dataset}-{model}": [fold_run.digest for fold_run in folds] for (dataset, model), folds in fold_runs.items()
    }
    read_on = sorted({each.device for of_run in results.values() for each in of_run})
    files = {
        "datasets.csv": table(pd.DataFrame(datasets, columns=_DATASETS)),
        "severity.csv": table(pd.DataFrame(steps, columns=_STEPS)),
    }
    write_record(folder, {"networks": digests, "read_on": read_on, "hashes": {"networks": hash_of(digests)}}, files)


def _dataset_rows(run: Run, networks: Sequence[TransferResult]) -> Iterator[dict[str, Any]]:
    """Yield a row for each other dataset and normalisation of a run."""
    for same in zip(*(network.datasets for network in networks), strict=True):
        facts = {"dataset": run[0], "model": run[1], "reads": same[0].name, "normalisation": same[0].adaptation}
        yield {**facts, "skipped": same[0].skipped, **({} if same[0].skipped else _accuracy(same))}


def _step_rows(run: Run, fold_run: FoldRun, networks: Sequence[TransferResult]) -> Iterator[dict[str, Any]]:
    """Yield a row for each step and adaptation of a run."""
    entry = fold_run.record["config"]["entry"]
    for same in zip(*(network.steps for network in networks), strict=True):
        step = int(same[0].name)
        facts = {"dataset": run[0], "model": run[1], "step": step, "adaptation": same[0].adaptation}
        displacement = displacements_of(entry["load"], networks[0].height)[step]
        facts |= {"displacement": displacement, "trained": step == entry["step"]}
        yield {**facts, **_accuracy(same)}


def _accuracy(same: Sequence[InputResult]) -> Estimate:
    return accuracy_of(np.stack([each.correct for each in same]), np.stack([each.rows for each in same]))

"""Training of the readers that ship with the package: all of MNIST, the augmentation ``pens``, further styles.

``train`` writes ``build/readers/``: the data as a dataset, its folds, and a fold's record for each reader. Digits of
some writers are held out for calibration. ``pack`` copies the readers into the package.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from shearbench.comparison.champion import Trust, trust_from
from shearbench.data.config import ImageDataset, MnistFolder
from shearbench.data.dataset import Dataset, Split, read_card, write_dataset
from shearbench.data.dataset import load as load_dataset
from shearbench.data.folds import RESERVED, FoldTable, read_folds, write_folds
from shearbench.data.mnist import Part, collect
from shearbench.errors import InputError
from shearbench.execution import Workers
from shearbench.handwriting.readers import RECORD, WHITE, Readers, load
from shearbench.handwriting.strokes import styled
from shearbench.records import is_finished, provenance, read_json, read_record, write_bytes, write_json
from shearbench.seeds import generator_for, seed_for
from shearbench.training.augmentations import pens
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.hardware import Hardware
from shearbench.training.recipe import Recipe
from shearbench.training.weights import WEIGHTS

SEED = 42
ENTRY = ImageDataset(source="mnist", channels=1, normalise="unit")
READERS: Mapping[str, tuple[str, float, dict[str, Any], int]] = {
    "cnn3": ("cnn3", 1.0, {"dropout": 0.3}, 16),
    "resnet18": ("resnet18", 0.25, {}, 8),
}
"""Name -> architecture, width, options, epochs.

The prediction is the mean of their probabilities with equal weights. If the largest mean probability of the unchanged
image is below ``readers.SURE``, the mean is taken over all views. The list, the weights and the rule for the threshold
were fixed before any class was read, so no class influences them.
"""
_RECIPE: Any = {"batch": 128, "learning_rate": 2e-3, "weight_decay": 1e-5}
_HELD_OUT_WRITERS = 45
DEMANDED = 0.99
"""Accuracy of confident predictions that must hold with 95 % confidence, on held-out digits drawn by ``pens``."""


def train(
    mnist: Path, out: Path, *, workers: Workers, hardware: Hardware, only: Collection[str] = tuple(READERS)
) -> list[dict[str, Any]]:
    """Train the readers ``only`` that have no record in ``out`` for this config, data and code; return the records.

    ``mnist`` is a folder of MNIST's four IDX files and QMNIST's labels, which name the writer of each digit. A stopped
    training resumes from its checkpoint in ``out``.

    Raises:
        InputError: if files are missing or have the wrong content.
    """
    prepare(mnist, out)
    data = {"dataset": out / "digits", "folds": out / "folds.npz"}
    tasks = [fold_task(config_of(name, hardware), 0, **data, out=out / name) for name in only]
    return train_folds(tasks, workers=workers, label="train the readers")


def prepare(mnist: Path, out: Path) -> None:
    """Write the dataset of MNIST's training digits and styled copies, and its folds: 0 held out, 1 for training."""
    part = _mnist(mnist)["train"]
    if (part.groups < 0).any():
        raise InputError(f"{mnist} must hold qmnist-train-labels-idx2-int too: readers are calibrated on other writers")
    images, labels = part.images, part.labels.astype(np.int64)
    rng = generator_for(SEED, "readers", "data")
    chosen = rng.permutation(np.unique(part.groups))[: 2 * _HELD_OUT_WRITERS]
    held_out, second = (np.isin(part.groups, half) for half in (chosen[:_HELD_OUT_WRITERS], chosen[_HELD_OUT_WRITERS:]))
    more, names = styled(images[~held_out], labels[~held_out], rng)
    everything = np.concatenate([images, more])[:, None]
    ids = np.arange(len(everything))
    folds = np.concatenate([np.where(held_out, 0, np.where(second, 1, RESERVED)), np.full(len(more), RESERVED)])
    train = Dataset("digits", ids, everything, np.concatenate([labels, names]))
    nothing = Dataset("digits", ids[:0], everything[:0], labels[:0])
    write_dataset(out / "digits", {"train": train, "test": nothing}, {"entry": ENTRY.model_dump()})
    write_folds(out / "folds.npz", FoldTable(ids, folds[None].astype(np.int64)))


def _mnist(folder: Path) -> dict[Split, Part]:
    return collect(MnistFolder(kind="path", path=str(folder.resolve())), Path())


def config_of(name: str, hardware: Hardware) -> TrainingConfig:
    architecture, width, options, epochs = READERS[name]
    return TrainingConfig(
        dataset="readers",
        model=name,
        seed=SEED,
        architecture=architecture,
        width=width,
        options=options,
        recipe=Recipe(epochs=epochs, augment="pens", schedule="cosine", **_RECIPE),
        entry=ENTRY,
        inner_fraction=0.1,
        device=hardware.device,
        precision=hardware.precision,
    )


def pack(out: Path, folder: Path, *, mnist: Path) -> dict[str, Any]:
    """Write the trained readers of ``out`` to ``folder`` in half precision, calibrated; return their record.

    A reader that was not trained in ``out`` stays unchanged in ``folder``. Calibration uses the held-out digits as
    drawn by ``pens``, because unknown handwriting is harder than MNIST. MNIST's test digits are scored once, for the
    record.

    Raises:
        InputError: if a reader is neither trained nor in ``folder``, or was trained on other data.
    """
    data = read_card(out / "digits")["hashes"]["train"]
    facts = [packed(name, out, folder, data) for name in READERS]
    record: dict[str, Any] = {
        "data": "MNIST's 60,000 training digits without those of 45 writers (QMNIST), and styled copies (strokes.py)",
        "data_sha256": data,
        "seed": SEED,
        "stored_as": "float16",
        "readers": facts,
        "trust": asdict(Trust(1.0, DEMANDED, None, 0.0, None, 0)),
        "provenance": provenance(),
    }
    write_json(folder / RECORD, record)
    load.cache_clear()
    readers = load(folder)
    drawn, labels, plain = held_out(out)
    together = readers.probabilities(drawn)
    test = _mnist(mnist)["test"]
    record["accuracy"] = {
        "held out, as drawn by pens": _accuracies(readers, drawn, labels)
        | {"together, with views": float((together.argmax(axis=1) == labels).mean())},
        "held out": _accuracies(readers, plain, labels),
        "MNIST test": _accuracies(readers, test.images, test.labels.astype(np.int64)),
    }
    record["trust"] = asdict(trust_from(together, labels, DEMANDED))
    write_json(folder / RECORD, record)
    load.cache_clear()
    return record


def packed(name: str, out: Path, folder: Path, data: str) -> dict[str, Any]:
    """Write a reader's weights to ``folder`` and return its facts; a reader not trained in ``out`` stays."""
    if not is_finished(out / name):
        stored = read_json(folder / RECORD)
        known = [one for one in stored["readers"] if one["name"] == name and stored["data_sha256"] == data]
        if not known:
            raise InputError(f"{out / name} has no record, and {folder} no reader {name} of this data; train it")
        return dict(known[0])
    record, content, file = read_record(out / name), _half(out / name), f"{name}.safetensors"
    write_bytes(folder / file, content)
    return {
        "name": name,
        **{key: record["config"][key] for key in ("architecture", "width", "options", "recipe", "precision")},
        **{key: record[key] for key in ("parameters", "epochs", "seconds", "sizes")},
        "code": record["hashes"]["code"],
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _half(fold: Path) -> bytes:
    """Return a fold's weights in half precision, as safetensors, for pixels divided by 255."""
    state = load_file(fold / WEIGHTS)
    assert not state.pop("normalise.mean").any()
    assert (state.pop("normalise.scale") == WHITE).all()
    halves = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    return save({name: value.contiguous() for name, value in halves.items()})


def held_out(out: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]:
    """Return the held-out digits as drawn by ``pens``, their labels, and the digits unchanged."""
    dataset = load_dataset(out / "digits", "train")
    _, rows = read_folds(out / "folds.npz").split(0)
    plain = dataset.inputs[rows]
    generator = torch.Generator().manual_seed(seed_for(SEED, "readers", "calibration"))
    drawn = pens(torch.from_numpy(plain).float(), generator).round().to(torch.uint8).numpy()
    return drawn[:, 0], dataset.labels[rows], np.asarray(plain[:, 0], np.uint8)


def _accuracies(readers: Readers, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return n and the accuracy of each network and of their mean, without views."""
    alone = readers.by_network(images, views=False)
    found = {**alone, "together": np.mean(list(alone.values()), axis=0)}
    return {"n": len(labels)} | {name: float((each.argmax(axis=1) == labels).mean()) for name, each in found.items()}

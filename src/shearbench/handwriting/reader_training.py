"""The readers that ship with the package, trained: all of MNIST, the augmentation ``pens``, digits in further styles.

``train`` makes ``build/readers/``: the data as a dataset, its folds, and a fold's record for each reader. Digits of
some writers are held out, to calibrate by; MNIST's test digits are opened by nothing here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shearbench.data.config import ImageDataset, MnistFolder
from shearbench.data.dataset import Dataset, write_dataset
from shearbench.data.folds import APART, FoldTable, write_folds
from shearbench.data.mnist import collect
from shearbench.errors import InputError
from shearbench.execution import Workers
from shearbench.handwriting.strokes import styled
from shearbench.seeds import generator_for
from shearbench.training.config import TrainingConfig
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.hardware import Hardware
from shearbench.training.recipe import Recipe

SEED = 42
ENTRY = ImageDataset(source="mnist", channels=1, normalise="unit")
READERS: Mapping[str, tuple[str, float, dict[str, Any], int]] = {
    "cnn3": ("cnn3", 1.0, {"dropout": 0.3}, 16),
    "cnn2": ("cnn2", 1.0, {"dropout": 0.3}, 10),
    "resnet18": ("resnet18", 0.25, {}, 6),
}
"""Name -> architecture, width, options, epochs."""
_RATE, _BATCH, _DECAY = 2e-3, 128, 1e-5
_HELD_OUT_WRITERS = 45


def train(mnist: Path, out: Path, *, workers: Workers, hardware: Hardware) -> list[dict[str, Any]]:
    """Train every reader that has no record in ``out`` with these settings, data and code; return the records.

    Args:
        mnist: folder of MNIST's four IDX files and QMNIST's labels, which say who wrote each digit.
        out: ``build/readers``; a stopped training goes on from its checkpoint there.
        workers: processes.
        hardware: device and precision.

    Raises:
        InputError: if the files are missing or not what they should be.
    """
    prepare(mnist, out)
    tasks = [
        fold_task(_config(name, hardware), 0, dataset=out / "digits", folds=out / "folds.npz", out=out / name)
        for name in READERS
    ]
    return train_folds(tasks, workers=workers, label="train the readers")


def prepare(mnist: Path, out: Path) -> None:
    """Write the dataset of MNIST's training digits and styled ones, and its folds: 0 is held out, 1 trains too."""
    part = collect(MnistFolder(kind="path", path=str(mnist.resolve())), Path())["train"]
    if (part.groups < 0).any():
        raise InputError(f"{mnist} must hold qmnist-train-labels-idx2-int too: readers are calibrated on other writers")
    images, labels = part.images, part.labels.astype(np.int64)
    rng = generator_for(SEED, "readers", "data")
    chosen = rng.permutation(np.unique(part.groups))
    held_out, second = (
        np.isin(part.groups, chosen[k * _HELD_OUT_WRITERS : (k + 1) * _HELD_OUT_WRITERS]) for k in (0, 1)
    )
    more, names = styled(images[~held_out], labels[~held_out], rng)
    everything = np.concatenate([images, more])[:, None]
    ids = np.arange(len(everything))
    folds = np.concatenate([np.where(held_out, 0, np.where(second, 1, APART)), np.full(len(more), APART)])
    train = Dataset("digits", ids, everything, np.concatenate([labels, names]))
    nothing = Dataset("digits", ids[:0], everything[:0], labels[:0])
    write_dataset(out / "digits", {"train": train, "test": nothing}, {"entry": ENTRY.model_dump()})
    write_folds(out / "folds.npz", FoldTable(ids, folds[None].astype(np.int64)))


def _config(name: str, hardware: Hardware) -> TrainingConfig:
    architecture, width, options, epochs = READERS[name]
    return TrainingConfig(
        dataset="readers",
        model=name,
        seed=SEED,
        architecture=architecture,
        width=width,
        options=options,
        recipe=Recipe(
            epochs=epochs,
            batch=_BATCH,
            learning_rate=_RATE,
            weight_decay=_DECAY,
            augment="pens",
            schedule="cosine",
        ),
        entry=ENTRY,
        inner_fraction=0.1,
        device=hardware.device,
        precision=hardware.precision,
    )

"""The readers that ship with the package, trained: all of MNIST, the augmentation ``pens``, digits in further styles.

``train`` makes ``build/readers/``: the data as a dataset, its folds, and a fold's record for each reader. Digits of
some writers are held out, to calibrate by; MNIST's test digits are opened by nothing here.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import ImageDataset, MnistFolder
from shearbench.data.dataset import Dataset, write_dataset
from shearbench.data.folds import APART, FoldTable, write_folds
from shearbench.data.mnist import collect
from shearbench.errors import InputError
from shearbench.execution import Workers
from shearbench.handwriting.strokes import styled
from shearbench.seeds import generator_for
from shearbench.training.config import Ablation
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
_WRITER = 2  # column of QMNIST's extended labels


def train(mnist: Path, writers: Path, out: Path, *, workers: Workers, hardware: Hardware) -> list[dict[str, Any]]:
    """Train every reader that has no record in ``out`` with these settings, data and code; return the records.

    Args:
        mnist: folder of MNIST's four IDX files.
        writers: QMNIST's extended labels of the training digits, IDX2-int, gzipped or not.
        out: ``build/readers``; a stopped training goes on from its checkpoint there.
        workers: processes.
        hardware: device and precision.

    Raises:
        InputError: if the files are missing or not what they should be.
    """
    prepare(mnist, writers, out)
    tasks = [
        fold_task(_ablation(name, hardware), 0, dataset=out / "digits", folds=out / "folds.npz", out=out / name)
        for name in READERS
    ]
    return train_folds(tasks, workers=workers, label="train the readers")


def prepare(mnist: Path, writers: Path, out: Path) -> None:
    """Write the dataset of MNIST's training digits and styled ones, and its folds: 0 is held out, 1 trains too."""
    parts = collect(MnistFolder(kind="path", path=str(mnist.resolve())), Path())
    images, labels = parts["train"][0], parts["train"][1].astype(np.int64)
    of_writer = read_writers(writers, len(labels))
    rng = generator_for(SEED, "readers", "data")
    chosen = rng.permutation(np.unique(of_writer))
    held_out = np.isin(of_writer, chosen[:_HELD_OUT_WRITERS])
    folds = np.where(
        held_out, 0, np.where(np.isin(of_writer, chosen[_HELD_OUT_WRITERS : 2 * _HELD_OUT_WRITERS]), 1, APART)
    )
    more, names = styled(images[~held_out], labels[~held_out], rng)
    everything = np.concatenate([images, more])[:, None]
    ids = np.arange(len(everything))
    train = Dataset("digits", ids, everything, np.concatenate([labels, names]))
    folds = np.concatenate([folds, np.full(len(more), APART)]).astype(np.int64)
    nothing = Dataset("digits", ids[:0] + len(ids), everything[:0], labels[:0])
    write_dataset(out / "digits", {"train": train, "test": nothing}, {"entry": ENTRY.model_dump()})
    write_folds(out / "folds.npz", FoldTable(ids, folds[None]))


def read_writers(path: Path, count: int) -> NDArray[np.int64]:
    """Return the writer of each of MNIST's training digits, (count,), from QMNIST's extended labels.

    Raises:
        InputError: if the file is not such a table, or of another number of digits.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    content = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    header = np.frombuffer(content[:12], ">i4").tolist()
    if len(header) != 3 or header[0] != 3074 or header[1:] != [count, 8] or len(content) != 12 + 4 * 8 * count:
        raise InputError(
            f"{path} must be an IDX2-int table of {count} rows and 8 columns, as QMNIST's extended labels of the "
            f"training digits are; its header says {header}"
        )
    table: NDArray[np.int64] = np.frombuffer(content[12:], ">i4").reshape(count, 8)[:, _WRITER].astype(np.int64)
    return table


def _ablation(name: str, hardware: Hardware) -> Ablation:
    architecture, width, options, epochs = READERS[name]
    return Ablation(
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

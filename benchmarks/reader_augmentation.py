"""What the augmentation ``pens`` gains: `cnn3` trained without it, beside the reader `cnn3`, on digits of strangers.

    python benchmarks/reader_augmentation.py FOLDER_OF_MNIST reports/full/handwriting/readers.csv

Data, recipe and seed are the reader's but for the augmentation and the epochs: without augmentation a network has
learnt its digits after few. One view each. Prints accuracies with 95 % intervals that resample writers, and adds their
rows to the CSV. The training takes 10 minutes on two cores and goes on after a stop.
"""

import argparse
from pathlib import Path

import numpy as np

from readers_by_step import Row, add, row_of, stand_in
from shearbench.data.config import MnistFolder
from shearbench.data.folds import read_folds
from shearbench.data.mnist import collect
from shearbench.handwriting import reader_training, readers
from shearbench.handwriting.scores import Writers
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.hardware import resolve

NAME, EPOCHS = "cnn3", 6


def train(mnist: Path, out: Path) -> readers.Readers:
    """Return `cnn3`, trained without augmentation in ``out`` unless it is there."""
    reader_training.prepare(mnist, out)
    config = reader_training.config_of(NAME, resolve("cpu", "auto"))
    recipe = config.recipe.model_copy(update={"augment": "none", "epochs": EPOCHS})
    config = config.model_copy(update={"recipe": recipe})
    place = {"dataset": out / "digits", "out": out / NAME}
    train_folds([fold_task(config, 0, **place)], workers=1, label="train without augmentation")
    record = readers.load().record
    facts = reader_training.packed(NAME, out, out / "weights", record["data_sha256"])
    return readers.Readers({NAME: readers.network_of(out / "weights", facts)}, readers.load().trust, record)


def main() -> None:
    """Train, measure both networks on three sets of digits, and add the rows to a CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--build", type=Path, default=Path("build/reader_augmentation"))
    asked = parser.parse_args()
    shipped = readers.load()
    networks = {
        "no augmentation": train(asked.mnist, asked.build),
        "augmentation pens": readers.Readers({NAME: shipped.networks[NAME]}, shipped.trust, shipped.record),
    }
    drawn, labels, plain = reader_training.held_out(asked.build)
    rows = read_folds(asked.build / "digits" / "folds.npz").split(0)[1]
    groups = collect(MnistFolder(kind="path", path=str(asked.mnist.resolve())), Path())["train"].groups[rows]
    writers = Writers.of(np.unique(groups, return_inverse=True)[1], seed=42)
    every = np.ones(len(labels), bool)
    digits = stand_in()
    sets = {
        "held-out writers": (plain, labels, every, writers),
        "held-out writers, drawn by pens": (drawn, labels, every, writers),
        "stand-in": (
            digits.images("mnist"),
            digits.digits,
            digits.accepted("mnist"),
            Writers.of(digits.writers, seed=42),
        ),
    }
    found: list[Row] = []
    for name, (images, truth, counted, who) in sets.items():
        for step, network in networks.items():
            said = network.probabilities(images, views=False)
            found.append(row_of(name, f"{NAME}, {step}", said, truth, counted, who))
    add(found, asked.csv)


if __name__ == "__main__":
    main()

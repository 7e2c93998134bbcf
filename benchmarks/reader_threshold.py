"""From which confidence the readers should answer: three rules, none of which looks at a class that is to be read.

    python benchmarks/reader_threshold.py FOLDER_OF_MNIST

Each rule chooses a threshold on the digits of the held-out writers as ``pens`` draws them:

- ``99 %``, ``99.5 %``: so many of the answers are right with 95 % confidence (Geifman and El-Yaniv);
- ``class``: at least 99 % of the answers are right in 95 % of the classes. A class is 30 of these writers, drawn with
  replacement, with one of each digit.

Prints for each what is answered and right there, in how many classes at least 99 % of the answers are right, and what
is answered and right of the stand-in class. Takes two minutes of processor time.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from readers_by_step import stand_in
from shearbench.comparison.champion import trust_from
from shearbench.data.config import MnistFolder
from shearbench.data.folds import read_folds
from shearbench.data.mnist import collect
from shearbench.handwriting import reader_training, readers
from shearbench.predictions.calibration import apply_temperature
from shearbench.seeds import generator_for

CLASSES, WRITERS, DIGITS = 4000, 30, 10
DEMANDED, SURE = 0.99, 0.95


def draw_classes(writers: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows of the digits of each class, (CLASSES, WRITERS * DIGITS)."""
    rng = generator_for(42, "reader threshold")
    drawn = rng.integers(writers.max() + 1, size=(CLASSES, WRITERS))
    rows = np.empty((CLASSES, WRITERS, DIGITS), np.int64)
    for writer, digit in np.ndindex(int(writers.max()) + 1, DIGITS):
        own, there = np.flatnonzero((writers == writer) & (labels == digit)), drawn == writer
        rows[there, digit] = rng.choice(own, int(there.sum()))
    return rows.reshape(CLASSES, -1)


def kept_by_classes(classes: NDArray[np.int64], answered: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """Return the share of classes in which at least ``DEMANDED`` of the answers are right."""
    return float(((answered & right)[classes].sum(axis=1) >= DEMANDED * answered[classes].sum(axis=1)).mean())


def main() -> None:
    """Print a line a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--build", type=Path, default=Path("build/readers"))
    asked = parser.parse_args()
    reader_training.prepare(asked.mnist, asked.build)
    drawn, labels, _ = reader_training.held_out(asked.build)
    rows = read_folds(asked.build / "digits" / "folds.npz").split(0)[1]
    groups = collect(MnistFolder(kind="path", path=str(asked.mnist.resolve())), Path())["train"].groups[rows]
    classes = draw_classes(np.unique(groups, return_inverse=True)[1], labels)
    who, digits = readers.load(), stand_in()
    said, clear = who.probabilities(drawn), np.array([not sheet.prepared["mnist"].doubt for sheet in digits.read])
    there, accepted = who.probabilities(digits.images("mnist")), digits.accepted("mnist")

    def judged(said: NDArray[np.float32], truth: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        scaled = apply_temperature(said, who.trust.temperature)
        return scaled.max(axis=1), scaled.argmax(axis=1) == truth

    confidence, right = judged(said, labels)
    at_class, right_there = judged(there, digits.digits)
    steps = np.quantile(confidence, np.linspace(0, 0.5, 201))
    by_class = next(step for step in steps if kept_by_classes(classes, confidence >= step, right) >= SURE)
    rules = {f"{100 * goal:g} %": trust_from(said, labels, goal).threshold or np.inf for goal in (DEMANDED, 0.995)}
    for name, threshold in (rules | {"class": by_class}).items():
        answered, counted = confidence >= threshold, accepted & clear & (at_class >= threshold)
        print(
            f"{name}: from {threshold:.4f} on; held out: {100 * answered.mean():.1f} % answered, "
            f"{100 * right[answered].mean():.2f} % of these right, "
            f"{100 * kept_by_classes(classes, answered, right):.0f} % of classes have 99 %; "
            f"stand-in: {counted.sum()} of {accepted.sum()} answered, {right_there[counted].sum()} right"
        )


if __name__ == "__main__":
    main()

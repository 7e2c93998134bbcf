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
from shearbench.handwriting import reader_training, readers
from shearbench.handwriting.reader_threshold import DEMANDED, class_threshold, draw_classes, share_of_classes
from shearbench.predictions.calibration import apply_temperature


def main() -> None:
    """Print a line a rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--build", type=Path, default=Path("build/readers"))
    asked = parser.parse_args()
    reader_training.prepare(asked.mnist, asked.build)
    drawn, labels, _ = reader_training.held_out(asked.build)
    classes = draw_classes(reader_training.writers_of_held_out(asked.mnist, asked.build), labels)
    who, digits = readers.load(), stand_in()
    said, clear = who.probabilities(drawn), np.array([not sheet.prepared["mnist"].doubt for sheet in digits.read])
    there, accepted = who.probabilities(digits.images("mnist")), digits.accepted("mnist")

    def judged(said: NDArray[np.float32], truth: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        scaled = apply_temperature(said, who.trust.temperature)
        return scaled.max(axis=1), scaled.argmax(axis=1) == truth

    confidence, right = judged(said, labels)
    at_class, right_there = judged(there, digits.digits)
    by_class = class_threshold(classes, confidence, right)
    rules = {f"{100 * goal:g} %": trust_from(said, labels, goal).threshold or np.inf for goal in (DEMANDED, 0.995)}
    for name, threshold in (rules | {"class": by_class}).items():
        answered, counted = confidence >= threshold, accepted & clear & (at_class >= threshold)
        print(
            f"{name}: from {threshold:.4f} on; held out: {100 * answered.mean():.1f} % answered, "
            f"{100 * right[answered].mean():.2f} % of these right, "
            f"{100 * share_of_classes(classes, answered, right):.0f} % of classes have 99 %; "
            f"stand-in: {counted.sum()} of {accepted.sum()} answered, {right_there[counted].sum()} right"
        )


if __name__ == "__main__":
    main()

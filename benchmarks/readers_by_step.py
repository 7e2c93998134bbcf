"""What each step gains in reading a class with the readers that ship: preparation, ensemble, further views, abstention.

    python benchmarks/readers_by_step.py reports/full/handwriting/readers.csv             # the stand-in class
    python benchmarks/readers_by_step.py reports/full/handwriting/readers.csv ~/class

Each step is printed with n and a 95 % interval that resamples writers, and its row is added to the CSV.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.comparison.champion import trusted_predictions
from shearbench.data import class_digits
from shearbench.data.class_digits import encode_png
from shearbench.handwriting.folder import ClassDigits, read_folder
from shearbench.handwriting.readers import Readers, load
from shearbench.handwriting.scores import ClassPredictions, Writers, summary

Row = dict[str, Any]
COLUMNS = ("class", "step", "n", "n_all", "writers", "accuracy", "low", "high")


def steps(digits: ClassDigits) -> list[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """Return each step with what it says of every picture, (n, 10), and which pictures count, (n,)."""
    readers = load()
    study, images, accepted = digits.images("study"), digits.images("mnist"), digits.accepted("mnist")
    first = next(iter(readers.networks))
    alone = Readers({first: readers.networks[first]}, readers.trust, readers.record)
    together = readers.probabilities(images)
    clear = np.array([not sheet.prepared["mnist"].doubt for sheet in digits.read])
    answered = np.array([each.answered for each in trusted_predictions(together, readers.trust)]) & clear
    return [
        (f"{first}, preparation of the study", alone.probabilities(study, views=False), np.ones(len(study), bool)),
        (f"{first}, preparation mnist", alone.probabilities(images, views=False), accepted),
        ("ensemble of the readers", readers.probabilities(images, views=False), accepted),
        ("further views where in doubt", together, accepted),
        ("answers", together, accepted & answered),
    ]


def stand_in() -> ClassDigits:
    """Return the digits of the stand-in class, drawn and read."""
    with TemporaryDirectory() as place:
        for drawing in class_digits.draw_class():
            (Path(place) / drawing.file).write_bytes(encode_png(drawing.image))
        return read_folder(Path(place), workers="auto")


def row_of(
    name: str,
    step: str,
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    counted: NDArray[np.bool_],
    writers: Writers,
) -> Row:
    """Return the row of a step on the digits that count, (n,) of probabilities (n, 10)."""
    row = summary(ClassPredictions(probabilities[None], labels, counted), writers)
    low, high = row["accuracy_interval"] or (None, None)
    return {"class": name, "step": step, **row, "low": low, "high": high}


def rows(digits: ClassDigits, name: str) -> list[Row]:
    """Return a row of the table for each step."""
    writers = Writers.of(digits.writers, seed=42)
    return [row_of(name, step, said, digits.digits, counted, writers) for step, said, counted in steps(digits)]


def add(found: Sequence[Row], table: Path) -> None:
    """Print rows and add them to a CSV."""
    for row in found:
        accuracy, low, high = (100 * row[key] for key in ("accuracy", "low", "high"))
        print(f"{row['class']}, {row['step']}: {accuracy:.1f} ({low:.1f} to {high:.1f}), n = {row['n']}")
    new = not table.is_file()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerows(found)


def main() -> None:
    """Print the table of a class, and add it to a CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    asked = parser.parse_args()
    if asked.folder is None:
        add(rows(stand_in(), "stand-in"), asked.csv)
    else:
        add(rows(read_folder(asked.folder, workers="auto"), asked.folder.name), asked.csv)


if __name__ == "__main__":
    main()

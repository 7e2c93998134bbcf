"""What each step gains in reading a class with the readers that ship: preparation, ensemble, further views, abstention.

    python benchmarks/readers_by_step.py reports/full/handwriting/readers.csv             # the stand-in class
    python benchmarks/readers_by_step.py reports/full/handwriting/readers.csv ~/class

Each step is printed with n and a 95 % interval that resamples writers, and its row is added to the CSV.
"""

import argparse
import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data import class_digits, png
from shearbench.handwriting.folder import ClassDigits, read_folder
from shearbench.handwriting.readers import Readers, load
from shearbench.handwriting.scores import Answers, Writers, summary

COLUMNS = ("class", "step", "n", "n_all", "writers", "accuracy", "low", "high")


def steps(digits: ClassDigits) -> list[tuple[str, NDArray[np.float32], NDArray[np.bool_]]]:
    """Return each step with what it says of every picture, (n, 10), and which pictures count, (n,)."""
    readers = load()
    study, images, kept = digits.images("study"), digits.images("mnist"), digits.kept("mnist")
    first = next(iter(readers.networks))
    alone = Readers({first: readers.networks[first]}, readers.trust, readers.record)
    together = readers.probabilities(images)
    clear = np.array([not sheet.prepared["mnist"].doubt for sheet in digits.read])
    answered = np.array([reading.answered for reading in readers.readings(together)]) & clear
    return [
        (f"{first}, preparation of the study", alone.probabilities(study, views=False), np.ones(len(study), bool)),
        (f"{first}, preparation mnist", alone.probabilities(images, views=False), kept),
        ("ensemble of the readers", readers.probabilities(images, views=False), kept),
        ("further views where in doubt", together, kept),
        ("answers", together, kept & answered),
    ]


def rows(digits: ClassDigits, name: str) -> list[dict[str, Any]]:
    """Return a row of the table for each step."""
    writers = Writers.of(digits.writers, seed=42)
    found = []
    for step, probabilities, counted in steps(digits):
        row = summary(Answers(probabilities[None], digits.digits, counted), writers)
        low, high = row["accuracy_interval"] or (None, None)
        found.append({"class": name, "step": step, **row, "low": low, "high": high})
    return found


def main() -> None:
    """Print the table of a class, and add it to a CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    with TemporaryDirectory() as place:
        folder = arguments.folder or Path(place)
        if arguments.folder is None:
            for drawing in class_digits.draw_class():
                (folder / drawing.file).write_bytes(png.encode(drawing.image))
        found = rows(read_folder(folder, workers="auto"), arguments.folder.name if arguments.folder else "stand-in")
    for row in found:
        accuracy, low, high = (100 * row[key] for key in ("accuracy", "low", "high"))
        print(f"{row['step']}: {accuracy:.1f} ({low:.1f} to {high:.1f}), n = {row['n']}")
    new = not arguments.csv.is_file()
    with arguments.csv.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()

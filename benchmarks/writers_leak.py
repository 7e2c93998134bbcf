"""How much the leak of writers was worth: the same digits and classifiers, folds at random and folds by writer.

    python benchmarks/writers_leak.py [--repeats 5]

All 5,000 bundled digits are held out twice in each repeat, in five parts: dealt at random, and with the digits of a
writer in one part. The difference of the two accuracies is what a network gains from digits of the writers it is
tested on. Its interval is over writers, whose digits are read in both. Two designs of a test: a network of a fold
learns from all other digits; a network that a test part is kept from learns from four fifths of them, as its own fold
is held out too. Writes ``reports/writers_leak.csv``.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from calibration_draws import CLASSIFIERS, SIDE
from shearbench.data import mnist
from shearbench.data.config import BundledMnist
from shearbench.data.units import assign_parts
from shearbench.records import write_text
from shearbench.seeds import generator_for, seed_for
from shearbench.statistics.crossed import joined, parts_from

NAMES = ("neighbours", "perceptron", "convolutions", "features")
TESTS = ("out_of_fold", "test_part")
FOLDS = 5


def main() -> None:
    """Cross-validate, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    asked = parser.parse_args()
    parts = mnist.collect(BundledMnist(kind="bundled"), Path()).values()
    images, labels, groups = (np.concatenate([part[i] for part in parts]) for i in range(3))
    labels = labels.astype(np.int64)
    x = (
        images.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)).reshape(len(labels), -1).astype(np.float32)
        / 255
    )
    right = np.zeros((len(TESTS), 2, len(NAMES), len(labels)))
    units = (np.arange(len(labels)), groups)
    for repeat, design in np.ndindex(asked.repeats, 2):
        parts_of = [
            assign_parts(units[design], labels, [1 / FOLDS] * FOLDS, seed=seed_for(42, "leak", repeat, design, *more))
            for more in ((), ("inner",))
        ]
        for fold, test in np.ndindex(FOLDS, len(TESTS)):
            out = parts_of[0] == fold
            learned = ~out & (parts_of[1] != fold) if TESTS[test] == "test_part" else ~out
            for place, name in enumerate(NAMES):
                rng = generator_for(42, "leak", repeat, design, fold, name)
                said = CLASSIFIERS["folds"][name](x[learned], labels[learned], x[out], rng)
                right[test, design, place, out] += (said == labels[out]) / asked.repeats
    rows = []
    for test, place in np.ndindex(len(TESTS), len(NAMES)):
        mixed, apart = right[test, :, place]
        leak = mixed - apart
        found = joined([parts_from(leak, leak[np.newaxis], groups)], alpha=0.05)[0]
        rows.append((TESTS[test], NAMES[place], mixed.mean(), apart.mean(), found.difference, found.low, found.high))
    columns = ["test", "classifier", "at_random", "by_writer", "leak", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    write_text(asked.reports / "writers_leak.csv", table.to_csv(index=False))
    print((100 * table.set_index(["test", "classifier"])).round(2).to_string())


if __name__ == "__main__":
    main()

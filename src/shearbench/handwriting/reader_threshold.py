"""From which confidence the readers answer: so that most classes get answers that are right.

A class is 30 of the held-out writers, drawn with replacement, with one of each digit as ``pens`` draws it. The
threshold is the least one at which at least ``DEMANDED`` of the answers are right in ``SURE`` of the classes.
"""

import numpy as np
from numpy.typing import NDArray

from shearbench.seeds import generator_for

SIMULATED_CLASSES, WRITERS, DIGITS = 4000, 30, 10
DEMANDED, SURE = 0.99, 0.95


def draw_classes(writers: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return rows of the digits of each class, (SIMULATED_CLASSES, WRITERS * DIGITS)."""
    rng = generator_for(42, "reader threshold")
    drawn = rng.integers(writers.max() + 1, size=(SIMULATED_CLASSES, WRITERS))
    rows = np.empty((SIMULATED_CLASSES, WRITERS, DIGITS), np.int64)
    for writer, digit in np.ndindex(int(writers.max()) + 1, DIGITS):
        own, there = np.flatnonzero((writers == writer) & (labels == digit)), drawn == writer
        some = own if len(own) else np.flatnonzero(labels == digit)  # this writer's are missing
        rows[there, digit] = rng.choice(some, int(there.sum()))
    return rows.reshape(SIMULATED_CLASSES, -1)


def share_of_classes(classes: NDArray[np.int64], answered: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """Return the share of classes in which at least ``DEMANDED`` of the answers are right."""
    return float(((answered & right)[classes].sum(axis=1) >= DEMANDED * answered[classes].sum(axis=1)).mean())


def class_threshold(classes: NDArray[np.int64], confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the least threshold that satisfies ``SURE`` of the classes, among quantiles of ``confidence``; else inf.

    ``classes`` are rows of digits, (classes, digits); ``confidence`` and ``right`` are of all digits, (n,). At least
    half of all digits are answered.
    """
    steps = np.quantile(confidence, np.linspace(0, 0.5, 201))
    return float(next((step for step in steps if share_of_classes(classes, confidence >= step, right) >= SURE), np.inf))

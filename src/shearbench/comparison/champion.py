"""One network for the digits of strangers: which of a run's networks reads, and how far its confidence is trusted.

Everything here is learned from the out-of-fold predictions of all networks of the run: each digit read by networks
that have not seen it. (The chosen network's own would flatter it, as it was chosen by them.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shearbench.predictions.calibration import accuracy_at_coverage, apply_temperature, fit_temperature
from shearbench.predictions.folds import FoldRun


@dataclass(frozen=True)
class Trust:
    """How far the confidence of a run's networks is trusted.

    A digit is answered where the confidence, after division of the logits by ``temperature``, is at least
    ``threshold``: the least one at which the answered share ``coverage`` of the ``predictions`` was right at a rate
    of at least ``demanded``; that rate was ``accuracy``. None of the three where no share is right that often.
    """

    temperature: float
    demanded: float
    threshold: float | None
    coverage: float
    accuracy: float | None
    predictions: int


@dataclass(frozen=True)
class Reading:
    """What was read in one image, or would be: ``answered`` says whether the confidence suffices."""

    digit: int
    confidence: float
    runner_up: int
    runner_up_confidence: float
    answered: bool


def champion_of(fold_runs: Sequence[FoldRun]) -> FoldRun:
    """Return the network of a run that reads alone: the one with the lowest validation loss."""
    return min(fold_runs, key=lambda fold_run: float(fold_run.record["metrics"]["validation_loss"]))


def temperature_of(fold_runs: Sequence[FoldRun]) -> float:
    """Return the temperature that suits the out-of-fold predictions of all networks of a run."""
    return fit_temperature(*_out_of_fold(fold_runs))


def trust_of(fold_runs: Sequence[FoldRun], demanded: float) -> Trust:
    """Return how far the networks of a run are trusted where the answered share is to be right at ``demanded``."""
    return trust_from(*_out_of_fold(fold_runs), demanded)


def trust_from(probabilities: NDArray[np.float32], labels: NDArray[np.int64], demanded: float) -> Trust:
    """Return how far probabilities (n, 10) of digits that no network has trained on are trusted; labels (n,)."""
    temperature = fit_temperature(probabilities, labels)
    scaled = apply_temperature(probabilities, temperature)
    confidence, correct = scaled.max(axis=1), scaled.argmax(axis=1) == labels
    accuracy = accuracy_at_coverage(confidence, correct)
    falling = np.sort(confidence)[::-1]
    last_of_its_value = np.append(falling[1:] < falling[:-1], True)  # a threshold cannot part equal confidences
    suffices = np.flatnonzero(last_of_its_value & (accuracy >= demanded - 1e-12))
    if not len(suffices):
        return Trust(temperature, demanded, None, 0.0, None, len(labels))
    k = int(suffices[-1])
    return Trust(temperature, demanded, float(falling[k]), (k + 1) / len(labels), float(accuracy[k]), len(labels))


def readings(probabilities: NDArray[np.floating], trust: Trust) -> list[Reading]:
    """Return what a network reads in images, from its probabilities (n, 10) before any temperature."""
    scaled = apply_temperature(probabilities, trust.temperature)
    order = np.argsort(-scaled, axis=1, kind="stable")
    return [
        _reading(row, int(best), int(second), trust) for row, (best, second) in zip(scaled, order[:, :2], strict=True)
    ]


def _reading(row: NDArray[np.float64], best: int, second: int, trust: Trust) -> Reading:
    confidence = float(row[best])
    answered = trust.threshold is not None and confidence >= trust.threshold
    return Reading(best, confidence, second, float(row[second]), answered)


def _out_of_fold(fold_runs: Sequence[FoldRun]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    predicted = [fold_run.out_of_fold for fold_run in fold_runs]
    return np.concatenate([each.probabilities for each in predicted]), np.concatenate(
        [each.labels for each in predicted]
    )

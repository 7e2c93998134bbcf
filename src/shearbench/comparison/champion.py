"""Choice of one network of a run for new samples, and of the confidence above which it answers.

Both use the out-of-fold predictions of all networks of the run: each sample is predicted by networks that did not train
on it. The predictions of the chosen network alone would be optimistic, because they decided the choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from shearbench.predictions.calibration import accuracy_at_coverage, apply_temperature, fit_temperature

if TYPE_CHECKING:  # it loads pandas, which takes a second
    from shearbench.predictions.folds import FoldRun

DOUBT = 0.05
"""Probability that the accuracy is below the guaranteed one."""
_SMALL = 8.0
"""Number of samples times allowed error rate below which no bound can be met: about -log(DOUBT / 12)."""


@dataclass(frozen=True)
class Trust:
    """Calibration of the confidence of a run's networks.

    A sample is answered if the confidence, after division of the logits by ``temperature``, is at least ``threshold``.
    This is the least threshold found at which answered samples have accuracy ``demanded`` or more with probability
    ``1 - DOUBT``; ``guaranteed`` is the bound. On the ``predictions`` used for the choice, the share ``coverage`` is
    answered with ``accuracy``, which is no estimate for other samples. If no threshold suffices, ``coverage`` is 0 and
    the others are None. The bound assumes independent samples from the distribution of new ones.

    Source: selection with guaranteed risk, Geifman and El-Yaniv, NeurIPS 2017, algorithm 2.
    """

    temperature: float
    demanded: float
    threshold: float | None
    coverage: float
    accuracy: float | None
    predictions: int
    guaranteed: float | None = None


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image; ``answered`` is True if the confidence suffices."""

    label: int
    confidence: float
    runner_up: int
    runner_up_confidence: float
    answered: bool


def champion_of(fold_runs: Sequence["FoldRun"]) -> "FoldRun":
    """Return the fold run with the lowest validation loss; its network predicts new samples."""
    return min(fold_runs, key=lambda fold_run: float(fold_run.record["metrics"]["validation_loss"]))


def temperature_of(fold_runs: Sequence["FoldRun"]) -> float:
    """Return the temperature fitted on the out-of-fold predictions of all networks of a run."""
    return fit_temperature(*_out_of_fold(fold_runs))


def trust_of(fold_runs: Sequence["FoldRun"], demanded: float) -> Trust:
    """Return the trust in the networks of a run if answered samples should have the accuracy ``demanded``."""
    return trust_from(*_out_of_fold(fold_runs), demanded)


def trust_from(probabilities: NDArray[np.float32], labels: NDArray[np.int64], demanded: float) -> Trust:
    """Return the trust from probabilities (n, classes) of samples that no network has trained on, and labels (n,)."""
    temperature = fit_temperature(probabilities, labels)
    scaled = apply_temperature(probabilities, temperature)
    confidence, correct = scaled.max(axis=1), scaled.argmax(axis=1) == labels
    accuracy = accuracy_at_coverage(confidence, correct)
    falling = np.sort(confidence)[::-1]
    last_of_its_value = np.append(falling[1:] < falling[:-1], True)  # a threshold cannot separate equal confidences
    places = np.flatnonzero(last_of_its_value)
    steps = max(1, int(np.ceil(np.log2(len(places) + 1))))
    widest: tuple[int, float] | None = None
    low, high = 0, len(places) - 1
    # The bound rises with the number answered while the sample is small, and falls later: below
    # `_SMALL / (1 - demanded)` a failed bound means too few answered, not too many.
    while low <= high:  # binary search; each of its bounds, at most `steps`, holds with probability 1 - DOUBT / steps
        middle = (low + high) // 2
        answered = int(places[middle]) + 1
        bound = least_accuracy(round(float(accuracy[places[middle]]) * answered), answered, doubt=DOUBT / steps)
        if bound >= demanded:
            widest, low = (answered, bound), middle + 1
        elif answered < _SMALL / (1 - demanded + 1e-12) and widest is None:
            low = middle + 1
        else:
            high = middle - 1
    if widest is None:
        return Trust(temperature, demanded, None, 0.0, None, len(labels))
    k, bound = widest
    coverage = k / len(labels)
    return Trust(temperature, demanded, float(falling[k - 1]), coverage, float(accuracy[k - 1]), len(labels), bound)


def abstention_of(
    fold_runs: Sequence["FoldRun"], probabilities: NDArray[np.float32], labels: NDArray[np.int64], demanded: float
) -> dict[str, float | int | None]:
    """Return the test accuracy of a run's chosen network that answers with the accuracy ``demanded``, 0 to 1.

    ``probabilities`` (networks, n, classes) and ``labels`` (n,) are of the test samples. The result has ``demanded``;
    ``guaranteed``, None if no threshold suffices; then on the test set ``coverage``, the number of ``answered`` samples
    and their accuracy ``observed``, None if none is answered.
    """
    trust, place = trust_of(fold_runs, demanded), fold_runs.index(champion_of(fold_runs))
    scaled = apply_temperature(probabilities[place], trust.temperature)
    answered = scaled.max(axis=1) >= (np.inf if trust.threshold is None else trust.threshold)
    right = scaled.argmax(axis=1)[answered] == labels[answered]
    return {
        "demanded": demanded,
        "guaranteed": trust.guaranteed,
        "coverage": float(answered.mean()),
        "answered": int(answered.sum()),
        "observed": float(right.mean()) if len(right) else None,
    }


def least_accuracy(right: int, answered: int, *, doubt: float) -> float:
    """Return the exact lower bound of an accuracy at confidence 1 - ``doubt`` (Clopper and Pearson 1934)."""
    return float(special.betaincinv(right, answered - right + 1, doubt)) if right else 0.0


def trusted_predictions(probabilities: NDArray[np.floating], trust: Trust) -> list[Prediction]:
    """Return the predictions of a network for images, from its probabilities (n, classes) before any temperature."""
    scaled = apply_temperature(probabilities, trust.temperature)
    order = np.argsort(-scaled, axis=1, kind="stable")
    threshold = np.inf if trust.threshold is None else trust.threshold
    return [
        Prediction(best, float(row[best]), second, float(row[second]), bool(row[best] >= threshold))
        for row, (best, second) in zip(scaled, order[:, :2].tolist(), strict=True)
    ]


def _out_of_fold(fold_runs: Sequence["FoldRun"]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    predicted = [fold_run.out_of_fold for fold_run in fold_runs]
    probabilities = np.concatenate([each.probabilities for each in predicted])
    return probabilities, np.concatenate([each.labels for each in predicted])

"""Calibration of probabilities: reliability, summary numbers, temperature, accuracy against coverage.

The *confidence* of a prediction is the probability of its most probable class. A temperature is fitted to the
out-of-fold predictions of a network, which was not trained on these samples, and applied to other samples:
``apply_temperature(test, fit_temperature(out_of_fold, labels))``.

Sources: Guo et al., "On calibration of modern neural networks", ICML 2017 (expected calibration error over 15 bins of
equal width, temperature scaling); Brier, Monthly Weather Review 78 (1950), the sum over all classes, 0 to 2; Geifman
and El-Yaniv, NeurIPS 2017 (accuracy against coverage).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from shearbench.errors import InputError
from shearbench.predictions.scores import LEAST_PROBABILITY

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of a fitted temperature. Without a misclassified sample the optimum is 0, which has no use."""

Probabilities = NDArray[Any]
Labels = NDArray[np.int64]


def fit_temperature(probabilities: Probabilities, labels: Labels) -> float:
    """Return the temperature that minimises the mean cross-entropy of the calibrated probabilities.

    The cross-entropy is convex in the inverse temperature, so its slope has one root. If the root is outside
    ``COLDEST`` to ``HOTTEST``, the nearer bound is returned. The probabilities (n, classes) are of samples that the
    network was not trained on.

    Raises:
        InputError: if there is no sample, or the number of labels differs from the number of rows.
    """
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or len(labels) == 0:
        raise InputError(
            f"a temperature needs probabilities (n, classes) and n >= 1 labels, got {probabilities.shape} and "
            f"{labels.shape}; give it the out-of-fold predictions of a finished fold"
        )
    from scipy.optimize import brentq  # takes half a second to import; only a fit needs it

    logits = _logits(probabilities)
    true = logits[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * logits, axis=1) * logits).sum(axis=1) - true).mean())

    if slope(1 / COLDEST) <= 0:
        return COLDEST
    if slope(1 / HOTTEST) >= 0:
        return HOTTEST
    return float(1 / brentq(slope, 1 / HOTTEST, 1 / COLDEST, xtol=1e-12))


def apply_temperature(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """Return the softmax of the logits divided by ``temperature``, (n, classes).

    A temperature above 1 lowers the confidence, one below 1 raises it. The most probable class does not change.

    Raises:
        InputError: if ``temperature`` is not a positive number.
    """
    if not 0 < temperature < np.inf:
        raise InputError(f"a temperature must be a positive number, got {temperature}; fit it by fit_temperature")
    calibrated: NDArray[np.float64] = softmax(_logits(probabilities) / temperature, axis=1)
    return calibrated


def _logits(probabilities: Probabilities) -> NDArray[np.float64]:
    """Return the logarithms of probabilities: logits up to a constant, which the softmax ignores."""
    logits: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))
    return logits


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions by confidence bin: ``count``, mean ``confidence`` and ``accuracy`` (NaN for an empty bin)."""

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error: mean over predictions of |accuracy - confidence| of their bin."""
        some = self.count > 0
        gaps = np.abs(self.accuracy[some] - self.confidence[some])
        return float(gaps @ self.count[some] / self.count.sum())


def reliability(confidence: NDArray[Any], correct: NDArray[np.bool_], *, bins: int = BINS) -> Reliability:
    """Group predictions with a confidence (n,) into ``bins`` of equal width, (0, 1/bins], (1/bins, 2/bins], ..."""
    which = _bin_of(confidence, bins)
    count = np.bincount(which, minlength=bins)
    sums = [np.bincount(which, weights=values, minlength=bins) for values in (confidence, correct)]
    means = [np.divide(each, count, out=np.full(bins, np.nan), where=count > 0) for each in sums]
    return Reliability(count, means[0], means[1])


def _bin_of(confidence: NDArray[Any], bins: int) -> NDArray[np.int64]:
    edges = np.linspace(0, 1, bins + 1)
    return np.searchsorted(edges[1:-1], confidence.astype(np.float64), side="left").astype(np.int64)


def brier_score(probabilities: Probabilities, labels: Labels) -> float:
    """Return the mean over samples of the squared distance between probabilities and truth, 0 to 2.

    The function of scikit-learn rejects a float32 probability that rounding puts above 1.
    """
    distance = probabilities.astype(np.float64)
    distance[np.arange(len(labels)), labels] -= 1
    return float((distance**2).sum(axis=1).mean())


def error_if_calibrated(confidence: NDArray[Any], *, draws: int, rng: np.random.Generator) -> float:
    """Return the mean calibration error of perfectly calibrated predictions, which is due to chance.

    Each draw makes prediction i correct with probability ``confidence[i]``. This is the reference for a measured
    calibration error. It is above 0, and larger for fewer samples.
    """
    which = _bin_of(confidence, BINS)
    size = len(confidence)
    stated = np.bincount(which, weights=confidence, minlength=BINS)
    drawn = rng.random((draws, size)) < confidence
    right = np.stack([np.bincount(which, weights=each, minlength=BINS) for each in drawn])
    return float(np.abs(right - stated).sum(axis=1).mean() / size)


def accuracy_at_coverage(confidence: NDArray[Any], correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the accuracy on the k predictions of highest confidence, for k = 1 ... n.

    Ties in confidence have no order, so each tied prediction counts with the mean accuracy of its tie.
    """
    order = np.argsort(-confidence, kind="stable")
    _, tie, size = np.unique(-confidence[order], return_inverse=True, return_counts=True)
    expected = np.bincount(tie, weights=correct[order]) / size
    shares: NDArray[np.float64] = np.cumsum(expected[tie]) / np.arange(1, len(order) + 1)
    return shares

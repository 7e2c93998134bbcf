"""Scores of a class's digits: predictions for n digits -> accuracies with intervals, per step, group and class.

``ClassPredictions`` holds the predictions of all folds for the same digits. Digits of one writer are alike, so
intervals come from resampling writers with all of their digits (cluster bootstrap: Cameron, Gelbach, Miller, Rev. Econ.
Stat. 90, 2008). All scores share the resamples, so that differences compare the same writers.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.handwritten import CLASSES
from shearbench.predictions.scores import cross_entropy
from shearbench.seeds import generator_for
from shearbench.statistics.proportions import wilson

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64]

DRAWS = 4000
PERMUTATIONS = 1000  # permutations of writers over groups
LEAST_WRITERS = 5  # resamples of fewer do not represent other writers
WIDEST = 0.3  # width of a group's interval above which it has no verdict
TOO_FEW, LIKE = "too few to say", "no difference shown"
WORSE, BETTER = "worse than the others", "better than the others"

Interval = tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class ClassPredictions:
    """Predictions of the folds: ``probabilities`` (folds, n, 10) for ``labels`` (n,); ``counted`` (n,) are scored."""

    probabilities: NDArray[np.float32]
    labels: Numbers
    counted: Mask

    @cached_property
    def hits(self) -> Mask:
        """Whether each network predicts each digit correctly, (folds, n)."""
        return np.asarray(self.probabilities.argmax(axis=2) == self.labels)

    @cached_property
    def right(self) -> Vector:
        """The share (n,) of networks that predict each digit correctly."""
        return np.asarray(self.hits.mean(axis=0))

    @cached_property
    def losses(self) -> Vector:
        """The cross-entropy (n,) of each digit in nats, the mean over the networks."""
        of_labels = self.probabilities[:, np.arange(len(self.labels)), self.labels]
        return np.asarray(cross_entropy(of_labels).mean(axis=0))

    @property
    def confusion(self) -> Numbers:
        """Counts (true, predicted) of the counted digits over all networks."""
        cells = CLASSES * self.labels[self.counted] + self.probabilities.argmax(axis=2)[:, self.counted]
        return np.bincount(cells.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)


@dataclass(frozen=True, eq=False)
class Writers:
    """The writer of each digit, ``numbers`` (n,) from 0, and the counts of writers per resample (draws, writers)."""

    numbers: Numbers
    drawn: Numbers

    @classmethod
    def of(cls, numbers: Numbers, *, seed: int) -> "Writers":
        """Resample all writers with replacement, ``DRAWS`` times."""
        count = int(numbers.max()) + 1
        generator = generator_for(seed, "handwriting", "writers")
        return cls(numbers, generator.multinomial(count, np.full(count, 1 / count), size=DRAWS))

    def means(self, values: Vector, counted: Mask) -> Vector:
        """Return the mean (draws,) of the counted values in each resample; NaN without any."""
        count = self.drawn.shape[1]
        sums = np.bincount(self.numbers[counted], weights=values[counted], minlength=count)
        sizes = np.bincount(self.numbers[counted], minlength=count)
        total = self.drawn @ sizes
        return np.asarray(np.divide(self.drawn @ sums, total, out=np.full(len(total), np.nan), where=total > 0))

    def interval(self, drawn: Vector, counted: Mask) -> Interval:
        """Return the 95 % percentile interval of resampled means; None with fewer than five writers."""
        if len(np.unique(self.numbers[counted])) < LEAST_WRITERS:
            return None
        low, high = np.nanpercentile(drawn, [2.5, 97.5])
        return float(low), float(high)


def summary(predicted: ClassPredictions, writers: Writers) -> dict[str, Any]:
    """Return accuracy and loss of counted digits with intervals, and accuracy with the others as misclassified."""
    counted = predicted.counted
    n = int(counted.sum())
    if not n:
        return {"n": 0, "n_all": len(counted), "writers": 0}
    scores = predicted.right, predicted.losses
    accuracy, loss = (writers.interval(writers.means(each, counted), counted) for each in scores)
    of_folds = predicted.hits[:, counted].mean(axis=1)
    of_classes = [predicted.losses[counted & (predicted.labels == digit)] for digit in range(CLASSES)]
    return {
        "n": n,
        "n_all": len(counted),
        "writers": len(np.unique(writers.numbers[counted])),
        "folds": len(predicted.probabilities),
        "accuracy": float(predicted.right[counted].mean()),
        "accuracy_interval": accuracy,
        "accuracy_sd": float(of_folds.std(ddof=1)) if len(of_folds) > 1 else None,
        "accuracy_all": float((predicted.right * counted).mean()),
        "loss": float(predicted.losses[counted].mean()),
        "loss_interval": loss,
        "class_loss": [float(losses.mean()) if len(losses) else None for losses in of_classes],
    }


def gain(after: ClassPredictions, before: ClassPredictions, writers: Writers) -> dict[str, Any]:
    """Return the changes of accuracy and loss with intervals, on the digits that count before and after.

    A filter changes no prediction, so that it gains nothing by itself.
    """
    both = after.counted & before.counted
    result: dict[str, Any] = {}
    for name, new, old in (("accuracy", after.right, before.right), ("loss", after.losses, before.losses)):
        result[name] = float((new - old)[both].mean())
        result[f"{name}_interval"] = writers.interval(writers.means(new - old, both), both)
    return result


def by_group(predicted: ClassPredictions, groups: Numbers, writers: Writers) -> list[dict[str, Any]]:
    """Return a row for each group: n, accuracy with Wilson's interval, loss, and a verdict against the other groups.

    The verdict comes from a permutation test. It reassigns writers (single digits, if a group has one writer) to groups
    of unchanged size. A group's statistic is its accuracy minus that of all others, divided by sqrt(1/n + 1/n_others).
    A group is worse or better if its absolute statistic exceeds the 95 % quantile of the largest over all groups. So
    digits of one writer may be alike, and the probability of any false verdict among equal groups is 5 %. A Wilson
    interval wider than 30 percentage points gives no verdict. Source: Westfall and Young (1993).
    """
    names = np.unique(groups)
    counted = predicted.counted
    statistics, limit = _against_others(predicted.right[counted], groups[counted], writers.numbers[counted], names)
    rows = []
    for group, statistic in zip(names.tolist(), statistics, strict=True):
        own = counted & (groups == group)
        n = int(own.sum())
        row: dict[str, Any] = {"group": group, "n": n, "n_all": int((groups == group).sum()), "verdict": TOO_FEW}
        if n:
            accuracy = float(predicted.right[own].mean())
            low, high = wilson(accuracy, n)
            row |= {"accuracy": accuracy, "low": low, "high": high, "loss": float(predicted.losses[own].mean())}
            if high - low <= WIDEST and n < counted.sum():
                row["verdict"] = LIKE if abs(statistic) <= limit else BETTER if statistic > 0 else WORSE
        rows.append(row)
    return rows


def _against_others(right: Vector, groups: Numbers, writers: Numbers, names: Numbers) -> tuple[Vector, float]:
    """Return each group's statistic, NaN without digits, and the 95 % quantile of the largest over permutations."""
    if not len(right):
        return np.full(len(names), np.nan), np.inf
    units = np.unique(np.stack([groups, writers]), axis=1, return_inverse=True)[1].ravel()
    if min(len(np.unique(units[groups == name])) for name in np.unique(groups)) < 2:
        units = np.arange(len(right))
    sums, sizes = np.bincount(units, weights=right), np.bincount(units)
    of_unit = np.empty(len(sums), np.int64)
    of_unit[units] = np.searchsorted(names, groups)

    def statistics(assignments: Numbers) -> NDArray[np.float64]:
        """Return (draws, groups) for the groups of the units (draws, units)."""
        members = [assignments == group for group in range(len(names))]
        hits, n = (np.stack([each @ values for each in members], axis=1) for values in (sums, sizes.astype(float)))
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = hits / n - (sums.sum() - hits) / (sizes.sum() - n)
            return np.asarray(difference / np.sqrt(1 / n + 1 / (sizes.sum() - n)))

    rng = generator_for("handwriting", "groups", len(sums))
    drawn = np.stack([rng.permutation(of_unit) for _ in range(PERMUTATIONS)])
    largest = np.nanmax(np.abs(statistics(drawn)), axis=1, initial=0.0)
    return statistics(of_unit[None])[0], float(np.sort(largest)[int(np.ceil(0.95 * PERMUTATIONS)) - 1])


def rank_correlation(feature: Vector, right: Vector, writers: Writers, counted: Mask) -> tuple[float, Interval]:
    """Return Spearman's correlation of a feature with correct prediction over counted digits, with an interval.

    The interval resamples writers; the correlation is 0 if either variable is constant.
    """
    from scipy.stats import rankdata

    counted = counted & np.isfinite(feature)
    x, y = rankdata(feature[counted]), rankdata(right[counted])
    owners = writers.numbers[counted]
    one = np.ones((1, writers.drawn.shape[1]))
    value = float(_weighted(x, y, owners, one)[0])
    if len(np.unique(owners)) < LEAST_WRITERS:
        return value, None
    low, high = np.percentile(_weighted(x, y, owners, writers.drawn), [2.5, 97.5])
    return value, (float(low), float(high))


def _weighted(x: Vector, y: Vector, owners: Numbers, drawn: NDArray[Any]) -> Vector:
    """Return the correlation (draws,) of x and y, with digits weighted by the draws of their writer."""
    moments = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    per_writer = np.stack([np.bincount(owners, weights=moment, minlength=drawn.shape[1]) for moment in moments])
    n, sx, sy, sxx, syy, sxy = (drawn @ per_writer.T).T
    cov, vx, vy = n * sxy - sx * sy, n * sxx - sx**2, n * syy - sy**2
    spread = np.sqrt(np.clip(vx, 0, None) * np.clip(vy, 0, None))
    return np.asarray(np.divide(cov, spread, out=np.zeros(len(cov)), where=spread > 1e-9))

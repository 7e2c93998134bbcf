"""The Python API: read a project's results as arrays and tables, and compare any two arrays of predictions.

``import shearbench`` imports none of it: each name is imported on first use. Examples: ``docs/python-api.md``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from shearbench.data.dataset import FOLDS
from shearbench.data.dataset import load as load_dataset
from shearbench.data.folds import read_folds
from shearbench.errors import InputError
from shearbench.params import Params, load
from shearbench.predictions.evaluated import read_table
from shearbench.predictions.folds import FoldRun, read_fold_runs
from shearbench.predictions.scores import BySample, by_sample
from shearbench.records import read_npz
from shearbench.statistics.paired import sign_flip_p


@dataclass(frozen=True, eq=False)
class ProjectRun:
    """One model on one dataset of a project."""

    dataset: str
    model: str
    build: Path
    networks: int

    @property
    def name(self) -> str:
        """``<dataset>-<model>``."""
        return f"{self.dataset}-{self.model}"

    @cached_property
    def folds(self) -> Sequence[FoldRun]:
        """The finished folds, with their records; InputError if one is missing or damaged."""
        return read_fold_runs(self.build / "runs" / self.dataset / self.model, self.networks)

    @cached_property
    def out_of_fold(self) -> BySample:
        """Out-of-fold predictions of the training samples: ``probabilities`` (repeats, n, classes)."""
        return by_sample([fold.out_of_fold for fold in self.folds])

    @cached_property
    def test(self) -> BySample:
        """Predictions of the test samples: ``probabilities`` (networks, n, classes); InputError if not evaluated."""
        arrays = read_npz(self.build / "evaluation" / self.dataset / self.model / "test_predictions.npz")
        return BySample(arrays["ids"], arrays["labels"], arrays["probabilities"])


@dataclass(frozen=True, eq=False)
class Project:
    """The folder of a project with its parameters."""

    folder: Path
    params: Params

    @property
    def runs(self) -> list[ProjectRun]:
        build, networks = self.folder / "build", self.params.cv.networks
        return [ProjectRun(each.dataset, each.model, build, networks) for each in self.params.runs.values()]

    def run(self, name: str) -> ProjectRun:
        """Return the run ``<dataset>-<model>``; InputError if ``params.yaml`` does not have it."""
        found = {each.name: each for each in self.runs}
        if name not in found:
            raise InputError(f"params.yaml has no run {name!r}; it has: {', '.join(found)}")
        return found[name]

    def fold_table(self, dataset: str) -> pd.DataFrame:
        """Return the held-out samples of each fold: columns ``id``, ``label``, ``fold``, one row per sample and repeat.

        Fold numbers continue through the repeats. A sample that no fold holds out has no row.
        """
        place = self.folder / "build" / "datasets" / dataset
        table, samples = read_folds(place / FOLDS), load_dataset(place, "train")
        every = pd.DataFrame({"id": table.ids, "label": np.array(samples.classes)[samples.labels]})
        train_on = self.params.cv.train_on
        held_out = [every.iloc[table.split(number, train_on)[1]].assign(fold=number) for number in table.numbers]
        return pd.concat(held_out, ignore_index=True)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table: ``comparison`` or ``pairs`` of ``reports/``, or one of ``build/comparison/``.

        Raises:
            InputError: if it does not exist, with the names of all tables.
        """
        folders = (self.folder / "reports", self.folder / "build" / "comparison")
        tables = {path.stem: path for folder in reversed(folders) for path in sorted(folder.glob("*.csv"))}
        if name not in tables:
            known = ", ".join(tables) or "none yet, run `make repro`"
            raise InputError(f"there is no table {name!r}; there is: {known}")
        return read_table(tables[name])


def load_project(folder: Path | str = ".") -> Project:
    """Return the project in a folder; InputError if it has no valid ``params.yaml``."""
    return Project(Path(folder), load(Path(folder) / "params.yaml"))


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of ``a`` minus that of ``b`` on the same samples, in fractions, with its interval and p value."""

    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    p: float
    """Two-sided mid-p value of McNemar's test, or with groups, of sign flips of the sums of the groups."""
    n: int
    groups: int
    """Number of independent units: groups, or samples without groups."""


def compare(
    labels: ArrayLike, a: ArrayLike, b: ArrayLike, *, groups: ArrayLike | None = None, level: float = 0.95
) -> PairedDifference:
    """Compare the predictions of any two models on the same samples.

    The result is valid for these trained models only; it does not include the variance of training. The interval is a
    t interval with a standard error clustered by group (Liang and Zeger, Biometrika 73, 1986) and one degree of freedom
    less than there are groups.

    Args:
        labels: (n,) true classes.
        a: (n,) predicted classes, or (n, classes) probabilities.
        b: as ``a``.
        groups: (n,) writers or other units within which samples depend on each other; None if all are independent.
        level: confidence level of the interval.

    Raises:
        InputError: if the shapes differ, or there are fewer than two samples or groups.
    """
    truth = np.asarray(labels)
    right_a, right_b = _correct(truth, a, "a"), _correct(truth, b, "b")
    units = np.arange(len(truth)) if groups is None else np.asarray(groups)
    if units.shape != truth.shape or truth.ndim != 1:
        raise InputError(f"labels and groups must be (n,); got {truth.shape} and {units.shape}")
    _, place = np.unique(units, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if count < 2:
        raise InputError(f"a comparison needs two independent samples or groups at least; got {count}")
    discordance = right_a.astype(np.int64) - right_b.astype(np.int64)
    sums = np.bincount(place, weights=discordance, minlength=count)
    difference = float(discordance.mean())
    residuals = sums - difference * np.bincount(place, minlength=count)
    error = float(np.sqrt(count / (count - 1) * (residuals**2).sum()) / len(truth))
    reach = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    return PairedDifference(
        accuracy_a=float(right_a.mean()),
        accuracy_b=float(right_b.mean()),
        difference=difference,
        low=max(-1.0, difference - reach),
        high=min(1.0, difference + reach),
        p=sign_flip_p(sums.astype(np.int64)),
        n=len(truth),
        groups=count,
    )


def _correct(labels: NDArray[Any], predictions: ArrayLike, name: str) -> NDArray[np.bool_]:
    array = np.asarray(predictions)
    classes = array.argmax(axis=1) if array.ndim == 2 else array
    if classes.shape != labels.shape:
        raise InputError(
            f"{name} must be (n,) classes or (n, classes) probabilities for {labels.shape} labels; got {array.shape}"
        )
    right: NDArray[np.bool_] = classes == labels
    return right

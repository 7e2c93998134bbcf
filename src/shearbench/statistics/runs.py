"""Inputs of a comparison: the plan declared before the run, the correctness of a run per case, and refusals.

A run is one model on one dataset. Fold scores are computed here from the predictions, so the two cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError

UNKNOWN = -1
"""The group of samples with an unknown group."""
_SHOWN = 5  # number of ids in a message


@dataclass(frozen=True)
class Design:
    """The declared design of a run; InputError if a number is out of range."""

    folds: int
    repeats: int = 1
    alpha: float = 0.05
    power: float = 0.8
    comparisons: int = 1
    disjoint: bool = False
    """Whether the folds are training sets that share no sample; their networks are compared on the test part alone."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.folds < 2 or self.repeats < 1 or self.comparisons < 1:
            raise InputError(
                "a design needs folds >= 2, repeats >= 1 and comparisons >= 1, got "
                f"{self.folds}, {self.repeats} and {self.comparisons}; correct cv in params.yaml"
            )
        if not (0 < self.alpha < 0.5 and self.alpha < self.power < 1):
            raise InputError(
                f"a design needs 0 < alpha < 0.5 and alpha < power < 1, got alpha {self.alpha} and power {self.power}; "
                "the usual choice is 0.05 and 0.8"
            )
        if self.disjoint and self.repeats > 1:
            raise InputError(f"disjoint training sets have 1 repeat, got {self.repeats}; take 1 and more sets")

    @property
    def overlap(self) -> float:
        """n_test/n_train, or 0 if the trainings share no samples."""
        return 0.0 if self.disjoint else 1 / (self.folds - 1)

    @property
    def n(self) -> int:
        """Number of differences per pair of models: folds times repeats."""
        return self.folds * self.repeats


@dataclass(frozen=True)
class Plan:
    """The plan that ``params.yaml`` declares before the run.

    ``rope`` is the region of equivalence and ``detect`` the difference that the design should detect, by dataset.
    """

    design: Design
    rope: Mapping[str, float]
    detect: Mapping[str, float] = field(default_factory=dict)

    def detect_of(self, *datasets: str) -> float | None:
        """Return the largest planned difference of the datasets; None if one of them has none."""
        planned = [self.detect[name] for name in datasets if name in self.detect]
        return max(planned) if len(planned) == len(datasets) else None

    def rope_of(self, *datasets: str) -> float:
        """Return the widest region of equivalence of the datasets."""
        return max(self.rope[name] for name in datasets)


@dataclass(frozen=True, eq=False)
class Run:
    """One model on one dataset: the samples that it predicts correctly, out of fold and on the test set.

    All arrays have the training samples in the same order, and the test samples too.
    """

    dataset: str
    model: str
    data_hash: str
    """Hash of the dataset that was predicted."""
    ids: NDArray[np.int64]
    """(n,) ids of the training samples."""
    folds: NDArray[np.int64]
    """(repeats, n): the fold that holds each sample out."""
    correct: NDArray[np.bool_]
    """(repeats, n): whether the network that did not train on the sample predicts it correctly."""
    test_ids: NDArray[np.int64]
    """(m,) ids of the test samples."""
    test_correct: NDArray[np.bool_]
    """(repeats, folds, m): whether each network predicts each test sample correctly."""
    content: NDArray[Any]
    """(n,) a hash of each training sample's content."""
    test_content: NDArray[Any]
    """(m,) a hash of each test sample's content."""
    groups: NDArray[np.int64]
    """(n,) the writer of each training sample, or -1."""
    test_groups: NDArray[np.int64]
    """(m,) the writer of each test sample, or -1."""
    train_size: float | None = None
    """Number of samples that a network trained on; by default all that its fold does not hold out."""
    disjoint: bool = False
    """Whether each network trained on its own fold alone: trainings share no sample, and only the test part counts."""

    def __post_init__(self) -> None:
        """Check that shapes fit, ids are unique and folds are numbered 0, 1, ... in every repeat."""
        n, m, repeats = len(self.ids), len(self.test_ids), len(self.folds)
        assert (self.groups.shape, self.test_groups.shape) == ((n,), (m,))
        shapes = [self.folds.shape, self.correct.shape, self.content.shape, self.test_content.shape]
        fits = shapes == [(repeats, n), (repeats, n), (n,), (m,)] and m > 0 and n > 0 and repeats > 0
        if not fits or self.test_correct.shape != (repeats, self.fold_count, m):
            raise InputError(
                f"{self.name}: predictions do not fit its fold table; remove its evaluation and run `dvc repro`"
            )
        if len(np.unique(self.ids)) != n or len(np.unique(self.test_ids)) != m:
            raise InputError(f"{self.name}: a sample is predicted twice; remove its evaluation and run `dvc repro`")
        if any(not np.array_equal(np.unique(row), np.arange(self.fold_count)) for row in self.folds):
            raise InputError(f"{self.name}: a fold has no predictions; run `dvc repro` to finish its training")

    @property
    def name(self) -> str:
        """``<dataset>-<model>``."""
        return f"{self.dataset}-{self.model}"

    @property
    def fold_count(self) -> int:
        """Folds per repeat."""
        return int(self.folds.max()) + 1

    @property
    def test_table(self) -> NDArray[np.bool_]:
        """(repeats * folds, m): whether each network predicts each test sample correctly."""
        return self.test_correct.reshape(-1, len(self.test_ids))

    @property
    def fold_accuracies(self) -> NDArray[np.float64]:
        """(repeats, folds) out-of-fold accuracies."""
        rows = zip(self.folds, self.correct, strict=True)
        return np.array([np.bincount(folds, weights=correct) / np.bincount(folds) for folds, correct in rows])

    @property
    def test_to_train(self) -> float:
        """Held-out samples of a fold per training sample of its network; 0 if the trainings share no samples."""
        if self.disjoint:
            return 0.0
        sizes = np.array([np.bincount(row, minlength=self.fold_count) for row in self.folds])
        held_out = float(sizes.mean())
        return held_out / (self.train_size if self.train_size is not None else len(self.ids) - held_out)

    @property
    def step(self) -> float:
        """The smallest step of a fold's accuracy: one sample of the smallest fold."""
        return 1 / min(int(np.bincount(row).min()) for row in self.folds)


def check_run(run: Run, design: Design) -> None:
    """Check that a run has the planned folds and repeats, and test samples that no network has trained on.

    Raises:
        InputError: naming the run, with both numbers, or with the number of such test samples and the first ids.
    """
    done, planned = (run.fold_count, len(run.folds)), (design.folds, design.repeats)
    if done != planned:
        raise InputError(
            f"{run.name}: {done[0]} folds x {done[1]} repeats are there, but {planned[0]} x {planned[1]} are planned "
            "in cv of params.yaml; run `dvc repro` to finish, and compare nothing before"
        )
    by_id = np.isin(run.test_ids, run.ids)
    by_content = np.isin(run.test_content, run.content)
    for seen, what in ((by_id, "have the id"), (by_content, "have the content")):
        if seen.any():
            first = ", ".join(str(number) for number in run.test_ids[seen][:_SHOWN])
            raise InputError(
                f"{run.name}: {int(seen.sum())} of {seen.size} test samples {what} of a training one (ids {first}); "
                "take them out of the source and run `dvc repro`"
            )


def why_not_paired(a: Run, b: Run) -> str:
    """Return the reason why two runs cannot be compared sample by sample, or "" if they can."""
    if a.dataset == b.dataset and a.data_hash != b.data_hash:
        return f"predictions of other data: {a.dataset} has changed between the two"
    if not np.array_equal(a.ids, b.ids):
        return "their training samples are not the same, by id"
    if not np.array_equal(a.folds, b.folds):
        return "their fold tables differ"
    if not np.array_equal(a.test_ids, b.test_ids):
        return "their test samples are not the same, by id"
    return ""


@dataclass(frozen=True)
class VarianceSplit:
    """Variances of one fold's accuracy, in units of its square; ``total`` is over the folds of a repeat."""

    total: float
    data: float
    training: float


def sd_over_folds(values: Sequence[float] | NDArray[np.float64], *, repeats: int = 1) -> float:
    """Return the "±" of a table: the standard deviation (n - 1) over the folds of a repeat.

    For several repeats it is the root mean square: they hold out the same samples, so a deviation over all folds at
    once would be smaller. ``values`` has one per network, repeat by repeat.
    """
    scores = np.asarray(values, dtype=np.float64).reshape(repeats, -1)
    return float(np.sqrt(scores.var(axis=1, ddof=1).mean()))


def split_variance(correct: NDArray[np.bool_], folds: NDArray[np.int64]) -> VarianceSplit:
    """Split the variance of the fold accuracies of one model on one dataset into data and training.

    A fold's accuracy y[r, f] (repeat r, fold f) varies with the held-out samples (``data``) and with the training
    (``training``), which has another seed and other samples. With m samples per fold, R repeats, n samples, and the
    share c[i] of the R networks that predict sample i correctly,

        total    = mean over r of var_f(y[r, :])                           the square of the printed "±"
        data     = (var_i(c[i]) - mean_i(var_r(correct[r, i])) / R) / m    differences between the samples
        training = total - data

    (method of moments, one-way random effects; var divides by its n - 1).

    - With R = 1, hard samples cannot be separated from chance: ``data`` is then mean(y (1 - y) / (m - 1)), an upper
      bound that includes both.
    - Folds share training samples, so ``training`` is less than the effect of entirely new training samples. It is 0
      if the folds vary less than their samples explain.

    Source: Searle, Casella and McCulloch, Variance Components (1992), section 3.5; Bouthillier et al., MLSys 2021.

    Args:
        correct: (repeats, n), whether the network that did not train on sample i predicts it correctly.
        folds: (repeats, n), the fold that holds sample i out: 0 .. k-1 in every repeat.

    Raises:
        InputError: if the shapes do not fit, or a fold has too few samples.
    """
    if correct.ndim != 2 or correct.shape != folds.shape or correct.size == 0 or correct.dtype != np.bool_:
        raise InputError(
            "a split of variance needs boolean correctness (repeats, n) and folds of the same shape, got "
            f"{correct.dtype} {correct.shape} and {folds.shape}; give the predictions of whole repeats"
        )
    sizes = np.array([np.bincount(row, minlength=int(folds.max()) + 1) for row in folds])
    if sizes.shape[1] < 2 or sizes.min() < 2:
        raise InputError(
            f"a split of variance needs at least 2 folds of at least 2 samples, got {sizes.tolist()}; use more samples"
        )
    hits = [np.bincount(row, weights=right) for row, right in zip(folds, correct, strict=True)]
    y = np.array(hits) / sizes
    total = float(y.var(axis=1, ddof=1).mean())
    if len(correct) == 1:
        data = float((y * (1 - y) / (sizes - 1)).mean())
    else:
        # The mean over few networks varies by chance too, which would count as a difference between samples.
        luck = correct.var(axis=0, ddof=1).mean() / len(correct)
        data = max(0.0, float(correct.mean(axis=0).var(ddof=1) - luck)) * float((1 / sizes).mean())
    return VarianceSplit(total, data, max(0.0, total - data))

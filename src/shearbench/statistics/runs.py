"""Inputs of a comparison: the correctness of a run per case, the plan declared before the run, and refusals.

A run is one model on one dataset. Fold scores are computed here from the predictions, so the two cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import InputError
from shearbench.statistics.design import Design

UNKNOWN = -1
"""The group of samples with an unknown group."""
_SHOWN = 5  # how many offending ids a message lists


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
        """Return the widest region of equivalence of the datasets; InputError if one of them has none."""
        missing = [name for name in datasets if name not in self.rope]
        if missing:
            raise InputError(
                f"compare.rope in params.yaml has no region of equivalence for {', '.join(missing)}; declare one"
            )
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
    groups: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(n,) the writer of each training sample, or -1; by default all are unknown."""
    test_groups: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(m,) the writer of each test sample, or -1."""
    train_size: float | None = None
    """Number of samples that a network trained on; by default all that its fold does not hold out."""

    disjoint: bool = False
    """Whether each network trained on its own fold alone: trainings share no sample, and only the test part counts."""

    def __post_init__(self) -> None:
        """Check that shapes fit, ids are unique and folds are numbered 0, 1, ... in every repeat."""
        n, m, repeats = len(self.ids), len(self.test_ids), len(self.folds)
        for name, count in (("groups", n), ("test_groups", m)):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(count, UNKNOWN, np.int64))
            assert getattr(self, name).shape == (count,), name
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
    def fold_accuracies(self) -> NDArray[np.float64]:
        """(repeats, folds) out-of-fold accuracies."""
        return np.array(
            [
                np.bincount(folds, weights=correct) / np.bincount(folds)
                for folds, correct in zip(self.folds, self.correct, strict=True)
            ]
        )

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


def refuse_unplanned(run: Run, design: Design) -> None:
    """Refuse a run with other folds or repeats than the design declares.

    Raises:
        InputError: naming the run and both numbers.
    """
    done, planned = (run.fold_count, len(run.folds)), (design.folds, design.repeats)
    if done != planned:
        raise InputError(
            f"{run.name}: {done[0]} folds x {done[1]} repeats are there, but {planned[0]} x {planned[1]} are planned "
            "in cv of params.yaml; run `dvc repro` to finish, and compare nothing before"
        )


def refuse_seen(run: Run) -> None:
    """Refuse test samples that a network has trained on, by id and by content.

    Raises:
        InputError: naming the run, the number of such samples and the first ids.
    """
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

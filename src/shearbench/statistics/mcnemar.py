"""McNemar's test of two networks on the same test cases.

Only the discordant cases count: b cases that only ``a`` predicts correctly, c cases that only ``b`` predicts correctly.
If both are correct equally often, b is binomial (b + c, 1/2). The result holds for *these trained networks*. Another
training gives other networks, so the test alone supports no claim about an architecture.

With k folds there are k pairs of networks, each trained on the same samples, on one test set. Their k tests share the
cases and are not independent. The test therefore uses the sum over the cases of the discordance w (networks of ``a``
minus networks of ``b`` that predict the case correctly). If the two are alike on these cases, each w is as likely with
the other sign, so the sum is distributed as that of +-w, which an FFT computes exactly. With one pair this is McNemar's
test. An ensemble of the k networks is another classifier than the one that cross-validation scores, and is not tested.

Mid-p: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13 (2013).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, stats

from shearbench.errors import InputError

Correct = NDArray[np.bool_]

LEAST_P = 1e-12
"""Least p value: below it, the tail of the FFT is rounding error."""


@dataclass(frozen=True)
class McNemar:
    """One pair of networks on one test set; without a discordant case both p values are 1."""

    only_a: int
    only_b: int
    p_exact: float
    p_mid: float


@dataclass(frozen=True)
class McNemarOverFolds:
    """The tests of all pairs of fold networks on one test set, one by one and together."""

    pairs: tuple[McNemar, ...]
    p: float
    """Mid-p of the sum of the discordance over all pairs; 1 if the sum is 0, and at least ``LEAST_P``."""


def mcnemar(correct_a: Correct, correct_b: Correct) -> McNemar:
    """Compare two networks by the cases (cases,) that each predicts correctly; InputError if the shapes differ."""
    a, b = check_paired(correct_a, correct_b, dimensions=1)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    exact, mid = mcnemar_p(np.array([only_a]), np.array([only_b]))
    return McNemar(only_a, only_b, float(exact[0]), float(mid[0]))


def mcnemar_p(only_a: NDArray[np.int64], only_b: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return exact and mid-p values of many pairs, from the numbers of cases that only one of both gets right."""
    fewer, discordant = np.minimum(only_a, only_b), only_a + only_b
    both_tails = 2 * stats.binom.cdf(fewer, discordant, 0.5)
    mid = both_tails - stats.binom.pmf(fewer, discordant, 0.5)
    return np.minimum(1.0, both_tails), np.minimum(1.0, mid)


def mcnemar_over_folds(correct_a: Correct, correct_b: Correct) -> McNemarOverFolds:
    """Compare the fold networks of two runs on one test set, (networks, cases) each; InputError if shapes differ."""
    a, b = check_paired(correct_a, correct_b, dimensions=2)
    discordance = a.sum(axis=0, dtype=np.int64) - b.sum(axis=0, dtype=np.int64)
    p = sign_flip_p(np.bincount(np.abs(discordance))[np.newaxis], np.array([discordance.sum()]))
    return McNemarOverFolds(tuple(mcnemar(*pair) for pair in zip(a, b, strict=True)), float(p[0]))


def sign_flip_p(sizes: NDArray[np.int64], sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the two-sided mid-p of sum(discordance) under random signs: 2 (P(S > s) + P(S = s) / 2), s >= 0.

    Args:
        sizes: (comparisons, largest + 1), number of cases with a discordance of size 0, 1, ...
        sums: (comparisons,), the sums of the discordance.
    """
    largest = int((sizes @ np.arange(sizes.shape[1])).max())
    length = fft.next_fast_len(2 * largest + 1, real=True)
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    # cos(size * angle) is the characteristic function of +-size with fair signs; a sum's is the product over its cases.
    waves = np.prod([np.cos(size * angles) ** count[:, np.newaxis] for size, count in enumerate(sizes.T)], axis=0)
    chances = fft.irfft(waves, length, axis=1)[:, : largest + 1]  # P(S = 0), P(S = 1), ...
    seen = np.abs(sums)[:, np.newaxis]
    beyond = np.where(np.arange(largest + 1) >= seen, chances, 0.0).sum(axis=1)
    p: NDArray[np.float64] = np.clip(2 * beyond - np.take_along_axis(chances, seen, axis=1)[:, 0], LEAST_P, 1.0)
    return p


def check_paired(correct_a: NDArray[Any], correct_b: NDArray[Any], *, dimensions: int) -> tuple[Correct, Correct]:
    """Return both arrays; InputError unless they are boolean, not empty and of one shape with ``dimensions`` axes."""
    fits = correct_a.shape == correct_b.shape and correct_a.ndim == dimensions and correct_a.size > 0
    if not fits or correct_a.dtype != np.bool_ or correct_b.dtype != np.bool_:
        raise InputError(
            f"paired correctness must be two boolean arrays of one shape with {dimensions} dimension(s), got "
            f"{correct_a.dtype} {correct_a.shape} and {correct_b.dtype} {correct_b.shape}; "
            "give both networks' predictions of the same cases"
        )
    return correct_a, correct_b

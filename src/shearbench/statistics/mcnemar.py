"""McNemar's test of two networks on the same test cases.

Only the discordant cases count: b cases that only ``a`` predicts correctly, c cases that only ``b`` predicts correctly.
If both are correct equally often, b is binomial (b + c, 1/2). The result holds for *these trained networks*. Another
training gives other networks, so the test alone supports no claim about an architecture.

With k folds there are k pairs of networks, and their tests share the cases. The test therefore uses the sum over the
cases of the discordance w (networks of ``a`` minus networks of ``b`` that predict the case correctly). If the two are
alike on these cases, each w is as likely with the other sign, so the sum is distributed as that of +-w, which an FFT
computes exactly. With one pair this is McNemar's test.

Mid-p: Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13 (2013).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from shearbench.errors import InputError

Correct = NDArray[np.bool_]

LEAST_P = 1e-12
"""Least p value: below it, the tail of the FFT is rounding error."""


def mcnemar_p(correct_a: Correct, correct_b: Correct) -> float:
    """Return the mid-p of the fold networks of two runs on one test set, (networks, cases) each.

    Raises:
        InputError: if the shapes differ.
    """
    return sign_flip_p(discordance_of(*check_paired(correct_a, correct_b, dimensions=2)))


def discordance_of(correct_a: Correct, correct_b: Correct) -> NDArray[np.int64]:
    """Return the number of networks of ``a`` minus networks of ``b`` that predict each case correctly, (cases,)."""
    discordance: NDArray[np.int64] = correct_a.sum(axis=0, dtype=np.int64) - correct_b.sum(axis=0, dtype=np.int64)
    return discordance


def sign_flip_p(discordance: NDArray[np.int64]) -> float:
    """Return the two-sided mid-p of s = abs(sum(discordance)) under random signs, 2 (P(S > s) + P(S = s) / 2).

    It is 1 if the sum is 0, and at least ``LEAST_P``.

    Args:
        discordance: (cases,).
    """
    sizes, seen = np.bincount(np.abs(discordance)), abs(int(discordance.sum()))
    largest = int(sizes @ np.arange(len(sizes)))
    length = fft.next_fast_len(2 * largest + 1, real=True)
    angles = 2 * np.pi * np.arange(length // 2 + 1) / length
    # cos(size * angle) is the characteristic function of +-size with fair signs; a sum's is the product over its cases.
    waves = np.prod([np.cos(size * angles) ** count for size, count in enumerate(sizes)], axis=0)
    chances = fft.irfft(waves, length)[: largest + 1]  # P(S = 0), P(S = 1), ...
    beyond = np.where(np.arange(largest + 1) >= seen, chances, 0.0).sum()
    return float(np.clip(2 * beyond - chances[seen], LEAST_P, 1.0))


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

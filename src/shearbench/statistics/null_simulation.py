"""Simulated nulls: worlds without a difference -> the false-positive rate of every test that is printed.

Each row of :data:`NULLS` draws worlds from one null and asks one test, many worlds at a time (``many``; the tests show
that each world is decided as the comparison's own function decides it). Fold differences are normal with equal
correlation rho = 1/folds, the assumption of the corrected t itself: these nulls are :data:`CIRCULAR`, they check the
code and not the assumption. Correctness is drawn case by case. The naive t-test, and tests that hold for trained
networks only where training varies, stand there as a warning, with no claim.
"""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import combinations, product
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.seeds import generator_for
from shearbench.statistics.bayesian import RopeProbabilities
from shearbench.statistics.false_positives import Claim, FalsePositiveRate
from shearbench.statistics.many import Decisions, cases_exclude_zero, folds_and_cases_exclude_zero, rope_probabilities
from shearbench.statistics.mcnemar import mcnemar_p, sign_flip_p
from shearbench.statistics.multiplicity import holm
from shearbench.statistics.resampled_t import corrected_p
from shearbench.statistics.verdict import decide

Generator = np.random.Generator
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Ask = Callable[[Generator, int], Decisions]

ALPHA = 0.05
FOLDS, REPEATS = 5, 10
CASES = 1000
DISCORDANT = 0.1
"""Share of the test cases on which just one of two networks is right."""
SPREAD = 0.01
"""Standard deviation of a score, and of a fold network's true accuracy where training differs."""
NARROW, WIDE = 0.002, 0.03
"""Regions of equivalence: one that is never filled at this spread, and one that is."""
PATTERNS = np.array(list(product((1, -1), repeat=FOLDS)))
"""(32, FOLDS): who is right on a discordant case in each fold, the network of a (1) or that of b (-1)."""
_BLOCK = 100
"""Worlds at a time: few enough for the processor's cache."""


def simulate_nulls(
    seed: int, *, trials: int = 20000, nulls: Mapping[tuple[str, str], tuple[Claim, Ask]] | None = None
) -> tuple[FalsePositiveRate, ...]:
    """Return the measured rate of each row of ``nulls``, by default :data:`NULLS`; the same for the same arguments.

    Each row has its own stream, named by it, so a new row moves no other number. 20,000 trials know a rate of 5 % to
    +- 0.15 % (one standard error).
    """
    rates = []
    for (test, null), (claim, ask) in (NULLS if nulls is None else nulls).items():
        rng = generator_for(seed, "null simulation", test, null)
        blocks = [min(_BLOCK, trials - start) for start in range(0, trials, _BLOCK)]
        hits = sum(int(ask(rng, worlds).sum()) for worlds in blocks)
        rates.append(FalsePositiveRate(test, null, claim, ALPHA, trials, hits))
    return tuple(rates)


def correlated_scores(rng: Generator, worlds: int, networks: int, *, repeats: int, difference: float = 0.0) -> Floats:
    """Draw (networks, worlds, repeats, folds) scores of equal networks; ``difference`` is added to the first of them.

    Within a network any two scores have correlation 1/FOLDS, and so have differences of two networks.
    """
    rho = 1 / FOLDS
    own = rng.normal(size=(networks, worlds, 1, 1))
    fresh = rng.normal(size=(networks, worlds, repeats, FOLDS))
    scores = 0.9 + SPREAD * (sqrt(rho) * own + sqrt(1 - rho) * fresh)
    scores[0] += difference
    return scores


def discordant_patterns(rng: Generator, worlds: int, *, training_varies: bool) -> Counts:
    """Draw how many of the test cases show each of :data:`PATTERNS`, (worlds, 32); the others are concordant.

    A case is discordant in every fold or in none, and half of those fall alike in all folds, as far as the folds'
    networks are alike. Where training varies, each fold's networks differ truly, by amounts of mean 0 that are
    correlated by 1/FOLDS over the folds.
    """
    effect = np.zeros((worlds, FOLDS))
    if training_varies:
        effect = (correlated_scores(rng, worlds, 1, repeats=1)[0, :, 0] - 0.9) / DISCORDANT
    chance_of_a = np.clip((1 + effect) / 2, 0, 1)[:, np.newaxis]
    a_wins = PATTERNS == 1
    apart = np.where(a_wins, chance_of_a, 1 - chance_of_a).prod(axis=2)
    # one draw for all folds: a wins where its chance is above it
    alike = np.where(a_wins, chance_of_a, 1).min(axis=2) - np.where(a_wins, 0, chance_of_a).max(axis=2)
    chances = DISCORDANT * (apart + np.maximum(alike, 0)) / 2
    return rng.multinomial(CASES, np.append(chances, 1 - chances.sum(axis=1, keepdims=True), axis=1))[:, :-1]


def fold_differences(patterns: Counts) -> Floats:
    """Return the differences in accuracy of the fold networks, (worlds, 1, folds)."""
    differences: Floats = (patterns @ PATTERNS / CASES)[:, np.newaxis]
    return differences


def discordance(patterns: Counts) -> Counts:
    """Return how many cases have -FOLDS, ..., FOLDS wins, (worlds, 2 FOLDS + 1)."""
    counts: Counts = patterns @ (PATTERNS.sum(axis=1)[:, np.newaxis] == np.arange(-FOLDS, FOLDS + 1))
    counts[:, FOLDS] += CASES - patterns.sum(axis=1)
    return counts


def _corrected(rng: Generator, worlds: int, *, repeats: int) -> Decisions:
    a, b = correlated_scores(rng, worlds, 2, repeats=repeats)
    return corrected_p(a - b) < ALPHA


def _naive(rng: Generator, worlds: int) -> Decisions:
    a, b = correlated_scores(rng, worlds, 2, repeats=1)[:, :, 0]
    rejected: Decisions = stats.ttest_rel(a, b, axis=1).pvalue < ALPHA
    return rejected


def _verdict(rng: Generator, worlds: int, *, wrong: tuple[str, ...], rope: float, difference: float) -> Decisions:
    a, b = correlated_scores(rng, worlds, 2, repeats=REPEATS, difference=difference)
    shares = rope_probabilities(a - b, rope=rope)
    said = [
        decide(float(p), RopeProbabilities(worse, equivalent, better, rope), alpha=ALPHA).word
        for p, (worse, equivalent, better) in zip(corrected_p(a - b), shares.tolist(), strict=True)
    ]
    return np.isin(said, wrong)


def _holm(rng: Generator, worlds: int) -> Decisions:
    scores = correlated_scores(rng, worlds, 4, repeats=1)
    return _any_after_holm([corrected_p(a - b) for a, b in combinations(scores, 2)])


def _holm_of_mcnemar(rng: Generator, worlds: int) -> Decisions:
    """Four networks a fold, alike: hard cases are right by chance, half of them in all folds alike."""
    hard = int(2 * DISCORDANT * CASES)
    own, shared = rng.random((4, worlds, FOLDS, hard)) < 0.5, rng.random((4, worlds, 1, hard)) < 0.5
    right = np.where(np.arange(hard) % 2, own, shared).sum(axis=2)
    sizes = np.arange(FOLDS + 1)
    p_values = []
    for a, b in combinations(right, 2):
        counts = (np.abs(a - b)[..., np.newaxis] == sizes).sum(axis=1)
        p_values.append(sign_flip_p(counts, (a - b).sum(axis=1)))
    return _any_after_holm(p_values)


def _any_after_holm(p_values: list[Floats]) -> Decisions:
    return np.array([min(holm(family)) < ALPHA for family in np.stack(p_values, axis=1)])


def _mcnemar(rng: Generator, worlds: int, *, exact: bool) -> Decisions:
    patterns = discordant_patterns(rng, worlds, training_varies=False)
    only_a, only_b = (patterns[:, PATTERNS[:, 0] == side].sum(axis=1) for side in (1, -1))
    return mcnemar_p(only_a, only_b)[0 if exact else 1] < ALPHA


def _mcnemar_over_folds(rng: Generator, worlds: int, *, training_varies: bool) -> Decisions:
    counts = discordance(discordant_patterns(rng, worlds, training_varies=training_varies))
    sizes = counts[:, FOLDS:].copy()
    sizes[:, 1:] += counts[:, FOLDS - 1 :: -1]
    return sign_flip_p(sizes, counts @ np.arange(-FOLDS, FOLDS + 1)) < ALPHA


def _bootstrap_cases(rng: Generator, worlds: int, *, training_varies: bool) -> Decisions:
    return cases_exclude_zero(
        discordance(discordant_patterns(rng, worlds, training_varies=training_varies)), level=1 - ALPHA
    )


def _bootstrap_folds_and_cases(rng: Generator, worlds: int, *, training_varies: bool) -> Decisions:
    patterns = discordant_patterns(rng, worlds, training_varies=training_varies)
    return folds_and_cases_exclude_zero(discordance(patterns), fold_differences(patterns), level=1 - ALPHA)


_FOLDS_1 = f"{FOLDS} folds, rho = 1/{FOLDS}"
_FOLDS_R = f"{FOLDS} folds x {REPEATS}, rho = 1/{FOLDS}"
CIRCULAR = (_FOLDS_1, _FOLDS_R)
"""Nulls that assume what the tests measured on them assume: the correlation of fold differences."""
_FIXED = f"{CASES} cases, trained networks equal"
_VARIES = f"{CASES} cases, training varies by {SPREAD:g}"

NULLS: dict[tuple[str, str], tuple[Claim, Ask]] = {
    ("corrected t", _FOLDS_1): ("equal", partial(_corrected, repeats=1)),
    ("corrected t", _FOLDS_R): ("equal", partial(_corrected, repeats=REPEATS)),
    ("naive paired t (never used)", _FOLDS_1): ("none", _naive),
    ("Holm, any of 6 pairs", _FOLDS_1): ("at most", _holm),
    ("tuning's verdict better or worse", _FOLDS_R): (
        "at most",
        partial(_verdict, wrong=("better", "worse"), rope=NARROW, difference=0.0),
    ),
    ("tuning's verdict better, difference +rope", _FOLDS_R): (
        "at most",
        partial(_verdict, wrong=("better",), rope=WIDE, difference=WIDE),
    ),
    ("tuning's verdict equivalent, difference -rope", _FOLDS_R): (
        "at most",
        partial(_verdict, wrong=("equivalent",), rope=WIDE, difference=-WIDE),
    ),
    ("McNemar, mid-p", _FIXED): ("equal", partial(_mcnemar, exact=False)),
    ("McNemar, exact", _FIXED): ("at most", partial(_mcnemar, exact=True)),
    ("McNemar over folds", _FIXED): ("equal", partial(_mcnemar_over_folds, training_varies=False)),
    ("McNemar over folds, Holm, any of 6 pairs", _FIXED): ("at most", _holm_of_mcnemar),
    ("McNemar over folds", _VARIES): ("none", partial(_mcnemar_over_folds, training_varies=True)),
    ("bootstrap, cases", _FIXED): ("equal", partial(_bootstrap_cases, training_varies=False)),
    ("bootstrap, cases", _VARIES): ("none", partial(_bootstrap_cases, training_varies=True)),
    ("bootstrap, folds and cases", _FIXED): ("at most", partial(_bootstrap_folds_and_cases, training_varies=False)),
    ("bootstrap, folds and cases", _VARIES): ("at most", partial(_bootstrap_folds_and_cases, training_varies=True)),
}
"""(test, null) -> (what is claimed of its rate, worlds -> whether the test wrongly claims something in each)."""

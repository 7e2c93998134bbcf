"""Simulated nulls: worlds without a difference -> the false-positive rate of every test that is printed.

Each row of :data:`NULLS` draws from one null and asks one test, through the very function that the comparison calls.
Fold differences are normal with equal correlation rho = 1/folds, the assumption of the corrected t; correctness of
cases is drawn case by case. The naive t-test and the tests that hold for trained networks only stand there as a
warning, with no claim.
"""

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.seeds import generator_for
from shearbench.statistics.bayesian import correlated_t
from shearbench.statistics.bootstrap import bootstrap_cases, bootstrap_folds_and_cases
from shearbench.statistics.false_positives import Claim, FalsePositiveRate
from shearbench.statistics.mcnemar import Correct, mcnemar, mcnemar_over_folds
from shearbench.statistics.multiplicity import holm
from shearbench.statistics.ranking import Ranking, rank_networks
from shearbench.statistics.resampled_t import corrected_t
from shearbench.statistics.verdict import decide

Generator = np.random.Generator
Scores = NDArray[np.float64]
Trial = Callable[[Generator], bool]

ALPHA = 0.05
FOLDS, REPEATS = 5, 10
CASES = 1000
DISCORDANT = 0.1
"""Share of the test cases on which just one of two networks is right."""
SPREAD = 0.01
"""Standard deviation of a score, and of a fold network's true accuracy where training differs."""
NARROW, WIDE = 0.002, 0.03
"""Regions of equivalence: one that is never filled at this spread, and one that is."""


def simulate_nulls(
    seed: int, *, trials: int = 4000, nulls: Mapping[tuple[str, str], tuple[Claim, Trial]] | None = None
) -> tuple[FalsePositiveRate, ...]:
    """Return the measured rate of each row of ``nulls``, by default :data:`NULLS`; the same for the same arguments.

    Each row has its own stream, named by it, so a new row moves no other number. 4,000 trials know a rate of 5 % to
    +- 0.35 % (one standard error).
    """
    rates = []
    for (test, null), (claim, trial) in (NULLS if nulls is None else nulls).items():
        rng = generator_for(seed, "null simulation", test, null)
        hits = sum(trial(rng) for _ in range(trials))
        rates.append(FalsePositiveRate(test, null, claim, ALPHA, trials, hits))
    return tuple(rates)


def correlated_scores(rng: Generator, networks: int, *, repeats: int, difference: float = 0.0) -> Scores:
    """Draw (networks, repeats, folds) scores of equal networks; ``difference`` is added to the first of them.

    Within a network any two scores have correlation 1/FOLDS, and so have differences of two networks.
    """
    rho = 1 / FOLDS
    own = rng.normal(size=(networks, 1, 1))
    fresh = rng.normal(size=(networks, repeats, FOLDS))
    scores = 0.9 + SPREAD * (sqrt(rho) * own + sqrt(1 - rho) * fresh)
    scores[0] += difference
    return scores


def equal_networks(rng: Generator, *, training_varies: bool) -> tuple[Correct, Correct]:
    """Draw which test cases the fold networks of a and b get right, (1, FOLDS, CASES) each.

    A case is discordant in every fold or in none, and half of those fall alike in all folds. Where training varies,
    each fold's networks differ truly, by amounts of mean 0 that are correlated by 1/FOLDS over the folds.
    """
    effect = np.zeros(FOLDS)
    if training_varies:
        scores = correlated_scores(rng, 1, repeats=1)[0, 0]
        effect = (scores - 0.9) / DISCORDANT
    shared = rng.random(CASES) < 0.5
    luck = np.where(shared, rng.random(CASES), rng.random((FOLDS, CASES)))
    discordant = rng.random(CASES) < DISCORDANT
    a_wins = luck < (1 + effect[:, None]) / 2
    return (~discordant | a_wins)[None], (~discordant | ~a_wins)[None]


def _corrected(rng: Generator, repeats: int) -> bool:
    return corrected_t(*correlated_scores(rng, 2, repeats=repeats)).p < ALPHA


def _naive(rng: Generator) -> bool:
    a, b = correlated_scores(rng, 2, repeats=1)[:, 0]
    return bool(stats.ttest_rel(a, b).pvalue < ALPHA)


def _verdict(rng: Generator, *wrong: str, rope: float, difference: float) -> bool:
    a, b = correlated_scores(rng, 2, repeats=REPEATS, difference=difference)
    return decide(corrected_t(a, b).p, correlated_t(a, b, rope=rope), alpha=ALPHA).word in wrong


def _holm(rng: Generator) -> bool:
    scores = correlated_scores(rng, 4, repeats=1)
    return min(holm([corrected_t(scores[i], scores[j]).p for i in range(4) for j in range(i)])) < ALPHA


def _mcnemar(rng: Generator, kind: str) -> bool:
    a, b = (correct[0, 0] for correct in equal_networks(rng, training_varies=False))
    return bool(getattr(mcnemar(a, b), kind) < ALPHA)


def _mcnemar_over_folds(rng: Generator, training_varies: bool) -> bool:
    a, b = equal_networks(rng, training_varies=training_varies)
    return mcnemar_over_folds(a[0], b[0]).p < ALPHA


def _bootstrap_cases(rng: Generator, training_varies: bool) -> bool:
    a, b = equal_networks(rng, training_varies=training_varies)
    return bootstrap_cases(a[0], b[0], level=1 - ALPHA).excludes_zero


def _bootstrap_folds_and_cases(rng: Generator, training_varies: bool) -> bool:
    return bootstrap_folds_and_cases(
        *equal_networks(rng, training_varies=training_varies), level=1 - ALPHA
    ).excludes_zero


def _ranking(rng: Generator) -> bool:
    ranking = rank_networks(rng.normal(size=(12, 4)), "abcd", alpha=ALPHA)
    assert isinstance(ranking, Ranking), ranking
    return len(ranking.groups) > 1


_FOLDS_1 = f"{FOLDS} folds, rho = 1/{FOLDS}"
_FOLDS_R = f"{FOLDS} folds x {REPEATS}, rho = 1/{FOLDS}"
_FIXED = f"{CASES} cases, trained networks equal"
_VARIES = f"{CASES} cases, training varies by {SPREAD:g}"

NULLS: dict[tuple[str, str], tuple[Claim, Trial]] = {
    ("corrected t", _FOLDS_1): ("equal", lambda rng: _corrected(rng, 1)),
    ("corrected t", _FOLDS_R): ("equal", lambda rng: _corrected(rng, REPEATS)),
    ("naive paired t (never used)", _FOLDS_1): ("none", _naive),
    ("Holm, any of 6 pairs", _FOLDS_1): ("at most", _holm),
    ("verdict better or worse", _FOLDS_R): (
        "at most",
        lambda rng: _verdict(rng, "better", "worse", rope=NARROW, difference=0.0),
    ),
    ("verdict better, difference +rope", _FOLDS_R): (
        "at most",
        lambda rng: _verdict(rng, "better", rope=WIDE, difference=WIDE),
    ),
    ("verdict equivalent, difference -rope", _FOLDS_R): (
        "at most",
        lambda rng: _verdict(rng, "equivalent", rope=WIDE, difference=-WIDE),
    ),
    ("McNemar, mid-p", _FIXED): ("equal", lambda rng: _mcnemar(rng, "p_mid")),
    ("McNemar, exact", _FIXED): ("at most", lambda rng: _mcnemar(rng, "p_exact")),
    ("McNemar over folds", _FIXED): ("equal", lambda rng: _mcnemar_over_folds(rng, False)),
    ("McNemar over folds", _VARIES): ("none", lambda rng: _mcnemar_over_folds(rng, True)),
    ("bootstrap, cases", _FIXED): ("equal", lambda rng: _bootstrap_cases(rng, False)),
    ("bootstrap, cases", _VARIES): ("none", lambda rng: _bootstrap_cases(rng, True)),
    ("bootstrap, folds and cases", _FIXED): ("at most", lambda rng: _bootstrap_folds_and_cases(rng, False)),
    ("bootstrap, folds and cases", _VARIES): ("at most", lambda rng: _bootstrap_folds_and_cases(rng, True)),
    ("Friedman, then Nemenyi", "4 networks on 12 datasets"): ("at most", _ranking),
}
"""(test, null) -> (what is claimed of its rate, one trial: whether the test wrongly claims something)."""

"""A/A test: compare one network with itself under other seeds, and count the differences that each test claims.

A draw is several runs of one network on the same digits, folds and test cases, with different seeds only. The networks
of two runs differ by chance. A test about *networks of this kind, trained again* should reject at most as often as it
claims: seeds cause no correlation between folds, while the corrected t assumes a correlation of 1/folds.

McNemar's test and the bootstrap over cases are about *these trained networks*, so a rejection is no error, and nothing
is claimed for them. Their claim is measured on the same predictions with the sides swapped case by case by a fair coin:
the trained networks are then equal.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from shearbench.statistics.bootstrap import bootstrap_cases
from shearbench.statistics.false_positives import Claim, FalsePositiveRate
from shearbench.statistics.mcnemar import mcnemar_over_folds
from shearbench.statistics.pairs import Comparison, as_family, compare_pair
from shearbench.statistics.runs import Plan, Run

OTHER_SEEDS = "trained: the same network, other seeds"
SWAPPED = "trained: the same, sides swapped case by case"
SWAPS = 10
"""How often the sides of one pair are swapped anew."""

Draw = Sequence[Run]
Pairs = dict[tuple[int, int], Comparison]


def compare_draw(draw: Draw, plan: Plan) -> Pairs:
    """Compare all runs of a draw with one another: (number, other number) -> comparison, of a family of one."""
    return {
        (one, other): compare_pair(draw[one], draw[other], plan) for one, other in combinations(range(len(draw)), 2)
    }


def rates_of_same_network(
    draws: Sequence[Draw], compared: Sequence[Pairs], plan: Plan, rng: np.random.Generator
) -> tuple[FalsePositiveRate, ...]:
    """Return the rates of a network compared with itself.

    Trials do not share a run: run 0 against 1, 2 against 3, ... of each draw. A family is all pairs of a draw.

    Args:
        draws: at least one, each of an even number of runs, which differ in their seeds alone.
        compared: :func:`compare_draw` of each.
        plan: design and region of equivalence.
        rng: for the swapping of sides.
    """
    alpha = plan.design.alpha
    apart = [(number, number + 1) for number in range(0, len(draws[0]), 2)]
    pairs = [all_pairs[each] for all_pairs in compared for each in apart]
    twos = [(draw[one], draw[other]) for draw in draws for one, other in apart]
    families = [as_family(list(all_pairs.values()), plan.design) for all_pairs in compared]
    swapped = [_swapped(a, b, rng) for a, b in twos for _ in range(SWAPS)]
    decisions: dict[tuple[str, str, Claim], list[bool]] = {
        **{
            (test, OTHER_SEEDS, claim): [decide(pair, alpha) for pair in pairs]
            for test, (claim, decide) in _ASKED.items()
        },
        (f"max-t, any of {len(compared[0])} pairs", OTHER_SEEDS, "at most"): [
            any(pair.crossed.p_adjusted < alpha for pair in family) for family in families
        ],
        ("naive paired t (never used)", OTHER_SEEDS, "none"): [_naive(a, b) < alpha for a, b in twos],
        ("McNemar over folds", SWAPPED, "equal"): [mcnemar_over_folds(a, b).p < alpha for a, b in swapped],
        ("bootstrap, cases", SWAPPED, "equal"): [
            bootstrap_cases(a, b, level=1 - alpha).excludes_zero for a, b in swapped
        ],
    }
    return tuple(
        FalsePositiveRate(test, null, claim, alpha, len(rejected), sum(rejected))
        for (test, null, claim), rejected in decisions.items()
    )


_ASKED: dict[str, tuple[Claim, Callable[[Comparison, float], bool]]] = {
    "samples crossed with trainings": ("at most", lambda pair, alpha: pair.crossed.p < alpha),
    "corrected t": ("at most", lambda pair, alpha: pair.cross_validation.p < alpha),
    "verdict better or worse": ("at most", lambda pair, alpha: pair.verdict.word in ("better", "worse")),
    "bootstrap, folds and cases": ("at most", lambda pair, alpha: pair.test_folds_and_cases.excludes_zero),
    "bootstrap, cases": ("none", lambda pair, alpha: pair.test_cases.excludes_zero),
    "McNemar over folds": ("none", lambda pair, alpha: pair.mcnemar.p < alpha),
}


def _naive(a: Run, b: Run) -> float:
    """Return the p value of the paired t-test over folds; where differences do not vary, its limit: 0, or 1 at 0."""
    differences = (a.fold_accuracies - b.fold_accuracies).ravel().round(12)  # 0.4 - 0.3 and 0.2 - 0.1 are the same
    if np.ptp(differences) == 0:
        return float(differences[0] == 0)
    return float(stats.ttest_1samp(differences, 0).pvalue)


def _swapped(a: Run, b: Run, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which test cases the fold networks get right, (networks, cases) each, with sides swapped by a coin."""
    one, other = (run.test_correct.reshape(-1, len(run.test_ids)) for run in (a, b))
    coin = rng.random(one.shape[1]) < 0.5
    return np.where(coin, other, one), np.where(coin, one, other)

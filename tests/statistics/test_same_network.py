"""A/A: what is tallied is what the tests said of the pairs, and swapped sides are a null that holds."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from shearbench.statistics.crossed import compare_family
from shearbench.statistics.design import Design
from shearbench.statistics.runs import Plan, Run
from shearbench.statistics.same_network import OTHER_SEEDS, SWAPPED, SWAPS, compare_draw, rates_of_same_network

FOLDS, TRAIN, TEST = 5, 100, 120
PLAN = Plan(Design(FOLDS), {"mnist": 0.01})


def _draw(seed):
    """Four runs whose networks differ by chance: each fold network has a skill of its own."""
    rng = np.random.default_rng(seed)
    folds = rng.permutation(np.arange(TRAIN) % FOLDS)
    hard = rng.beta(6, 2, TEST)
    runs = []
    for number in range(4):
        skill = 0.05 * rng.normal(size=FOLDS)
        runs.append(
            Run(
                dataset="mnist",
                model=f"seed {number}",
                data_hash="hash",
                ids=np.arange(TRAIN),
                folds=folds[None],
                correct=rng.random((1, TRAIN)) < 0.75 + skill[folds],
                test_ids=np.arange(TRAIN, TRAIN + TEST),
                test_correct=rng.random((1, FOLDS, TEST)) < hard + skill[:, None],
                content=np.arange(TRAIN),
                test_content=np.arange(TRAIN, TRAIN + TEST),
            )
        )
    return runs


@pytest.fixture(scope="module")
def draws():
    return [_draw(seed) for seed in range(40)]


@pytest.fixture(scope="module")
def rates(draws):
    compared = [compare_draw(draw, PLAN) for draw in draws]
    found = rates_of_same_network(draws, compared, PLAN, np.random.default_rng(0))
    return {(rate.test, rate.null): rate for rate in found}


def test_no_run_stands_in_two_trials(rates, draws):
    assert rates["corrected t", OTHER_SEEDS].trials == 2 * len(draws)
    assert rates["max-t, any of 6 pairs", OTHER_SEEDS].trials == len(draws)
    assert rates["McNemar over folds", SWAPPED].trials == 2 * len(draws) * SWAPS


def test_what_is_tallied_is_what_the_tests_say(rates, draws):
    twos = [pair for draw in draws for pair in (draw[:2], draw[2:])]
    naive = [stats.ttest_rel(*(run.fold_accuracies[0] for run in pair)).pvalue < 0.05 for pair in twos]
    assert rates["naive paired t (never used)", OTHER_SEEDS].false_positives == sum(naive)
    compared = [compare_draw(draw, PLAN) for draw in draws]
    apart = [pairs[each] for pairs in compared for each in ((0, 1), (2, 3))]
    assert rates["McNemar over folds", OTHER_SEEDS].false_positives == sum(pair.mcnemar.p < 0.05 for pair in apart)
    families = [compare_family(list(combinations(draw, 2))) for draw in draws]
    any_of_six = sum(min(pair.p_adjusted for pair in family) < 0.05 for family in families)
    assert rates["max-t, any of 6 pairs", OTHER_SEEDS].false_positives == any_of_six
    assert any_of_six >= sum(6 * min(pair.p for pair in family) < 0.05 for family in families)  # Bonferroni's


def test_what_is_claimed_holds(rates):
    assert all(rate.holds is not False for (_, null), rate in rates.items() if null == OTHER_SEEDS)
    swapped = [rate for (_, null), rate in rates.items() if null == SWAPPED]
    assert len(swapped) == 2
    assert {rate.claim for rate in swapped} == {"equal"}
    for rate in swapped:  # 800 trials that share 80 pairs of networks
        assert rate.rate == pytest.approx(0.05, abs=0.03)


def test_trained_networks_that_differ_are_no_mistake_of_the_tests_that_judge_them(rates):
    rate = rates["McNemar over folds", OTHER_SEEDS]
    assert rate.holds is None
    assert rate.rate > 0.1

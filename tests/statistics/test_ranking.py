"""Friedman and Nemenyi against Demsar's worked example, his table of quantiles, and scipy."""

import numpy as np
import pytest
from scipy import stats

from shearbench.errors import InputError
from shearbench.statistics.ranking import NoRanking, Ranking, critical_difference, rank_networks

NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
# AUC on 14 datasets: Demsar (2006), table 6
DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed alike, but his mean ranks count the third ahead of the fourth
        [0.957, 0.978, 0.946, 0.970],
    ]
)


def test_demsars_example():
    ranking = rank_networks(DEMSAR, NAMES)
    assert ranking.mean_ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    expected = stats.friedmanchisquare(*DEMSAR.T)
    assert (ranking.friedman, ranking.p) == pytest.approx((expected.statistic, expected.pvalue), abs=1e-10)
    sum_of_squares = sum(rank**2 for rank in ranking.mean_ranks)
    assert 12 * 14 / 20 * (sum_of_squares - 25) == pytest.approx(9.28, abs=5e-3)  # his, not corrected for ties
    assert ranking.friedman > 9.28
    assert ranking.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert ranking.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"),)


@pytest.mark.parametrize(("networks", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_the_quantiles_are_demsars(networks, q):
    assert critical_difference(networks * (networks + 1), networks) * np.sqrt(6) == pytest.approx(q, abs=1e-3)


def test_demsars_groups_at_ten_percent():
    ranking = rank_networks(DEMSAR, NAMES, alpha=0.1)
    assert ranking.critical_difference == pytest.approx(1.12, abs=5e-3)
    assert ranking.groups == (("C4.5+m+cf", "C4.5+m", "C4.5+cf"), ("C4.5+cf", "C4.5"))


def test_groups_are_the_largest_runs_within_the_critical_difference():
    # every dataset ranks a, b, c, d alike: mean ranks 1 .. 4; with 20 datasets CD is 1.05
    ranking = rank_networks(np.tile([0.9, 0.8, 0.7, 0.6], (20, 1)), "abcd")
    assert ranking.mean_ranks == (1, 2, 3, 4)
    assert 1 < ranking.critical_difference < 2
    assert ranking.groups == (("a", "b"), ("b", "c"), ("c", "d"))


def test_ties_everywhere_separate_nothing():
    ranking = rank_networks(np.full((20, 3), 0.9), "abc")
    assert (ranking.friedman, ranking.p) == (0.0, 1.0)
    assert ranking.mean_ranks == (2, 2, 2)
    assert ranking.groups == (("a", "b", "c"),)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [((20, 2), "at least 3 networks"), ((3, 3), "at least 5"), ((4, 4), "at least 5")],
)
def test_too_few_give_the_reason(shape, reason):
    ranking = rank_networks(np.random.default_rng(0).random(shape), "abcd"[: shape[1]])
    assert isinstance(ranking, NoRanking)
    assert reason in ranking.reason


def test_five_datasets_are_enough():
    assert isinstance(rank_networks(np.random.default_rng(0).random((5, 3)), "abc"), Ranking)


def test_a_gap_that_cannot_occur_is_a_reason():
    ranking = rank_networks(np.random.default_rng(0).random((5, 3)), "abc", alpha=1e-4)
    assert isinstance(ranking, NoRanking)
    assert "cannot by more than 2" in ranking.reason


@pytest.mark.parametrize("scores", [np.zeros((6, 4)), np.zeros(3), np.full((6, 3), np.nan)])
def test_scores_must_fit_the_names(scores):
    with pytest.raises(InputError, match="every network on every dataset"):
        rank_networks(scores, "abc")

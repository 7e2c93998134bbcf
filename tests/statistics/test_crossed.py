"""Samples crossed with trainings: hand-computed, against statsmodels and scipy, and what an interval promises."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from statsmodels.formula.api import ols

from shearbench.statistics.crossed import (
    Crossed,
    VarianceComponents,
    accuracy_interval,
    joined,
    mean_squares,
    parts_from,
    parts_of,
)
from shearbench.statistics.proportions import wilson
from shearbench.statistics.runs import Run

FOLDS = 5


def make_run(seed: int, *, accuracy: float = 0.9, training: float = 0.0, writers: int = 0, n: int = 400, m: int = 200):
    """One run: samples differ in difficulty, networks by ``training``; groups of equal size where there are writers."""
    hard = np.random.default_rng(99).normal(size=n + m)
    rng = np.random.default_rng(seed)
    folds = np.arange(n) % FOLDS if not writers else np.arange(n) // (n // (writers * n // (n + m) or 1)) % FOLDS
    level = stats.norm.ppf(accuracy) * np.sqrt(2) + training * rng.normal(size=FOLDS)
    right = (hard + rng.normal(size=(FOLDS, n + m)) + level[:, np.newaxis]) > 0
    groups = np.arange(n + m) * writers // (n + m) if writers else np.full(n + m, -1)
    return Run(
        dataset="mnist",
        model=f"model {seed}",
        data_hash="h",
        ids=np.arange(n),
        folds=folds[np.newaxis],
        correct=right[folds, np.arange(n)][np.newaxis],
        test_ids=np.arange(n, n + m),
        test_correct=right[np.newaxis, :, n:],
        content=np.arange(n),
        test_content=np.arange(n, n + m),
        groups=groups[:n],
        test_groups=groups[n:],
    )


def alone(table: np.ndarray) -> VarianceComponents:
    """The parts of the mean of a table in which each column is a sample of its own."""
    columns = np.arange(table.shape[1])
    return parts_from(table.mean(axis=0), table, columns)


def test_mean_squares_are_those_of_a_two_way_analysis_of_variance() -> None:
    table = np.random.default_rng(0).integers(-1, 2, (4, 30)).astype(float)
    frame = pd.DataFrame([{"t": t, "c": c, "y": y} for (t, c), y in np.ndenumerate(table)])
    anova = sm.stats.anova_lm(ols("y ~ C(t) + C(c)", frame).fit())
    expected = anova["sum_sq"] / anova["df"]
    assert mean_squares(table) == pytest.approx((expected["C(t)"], expected["Residual"]), rel=1e-10)


def test_a_table_by_hand_has_the_variance_of_obuchowski_and_rockette() -> None:
    # 3 readers (trainings), 4 cases, differences of two modalities. Row means 3/4, 0, 1/4; column means 1, 0, 2/3,
    # -1/3; mean 1/3. MS_T = 4 var(3/4, 0, 1/4) = 7/12, MS_C = 3 var(1, 0, 2/3, -1/3) = 10/9. The sum of squares is
    # 8 - 12/9 = 20/3, so MS_TC = (20/3 - 2 * 7/12 - 3 * 10/9) / 6 = 13/36.
    table = np.array([[1, 1, 1, 0], [1, -1, 0, 0], [1, 0, 1, -1]], float)
    square, interaction = mean_squares(table)
    assert (square, interaction) == pytest.approx((7 / 12, 13 / 36))
    found = joined([alone(table)], alpha=0.05)[0]
    # Var(mean) = (MS_T + MS_C - MS_TC) / (readers * cases), as in Hillis (2007), eq. 4
    assert found.standard_error**2 == pytest.approx((7 / 12 + 10 / 9 - 13 / 36) / 12, rel=1e-12)
    assert found.difference == pytest.approx(1 / 3)


def test_the_part_of_samples_is_the_cluster_robust_variance_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 40, 500)
    u = 0.2 * rng.normal(size=40)[groups] + rng.normal(size=500)
    found = joined([parts_from(u, np.zeros((1, 500)), groups)], alpha=0.05)[0]
    theirs = sm.OLS(u, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert found.samples_error == pytest.approx(theirs.bse[0], rel=1e-10)
    sizes = np.bincount(groups)
    assert found.df == pytest.approx(500**2 / (sizes**2).sum() - 1)


def test_without_groups_and_trainings_it_is_the_one_sample_t_test() -> None:
    u = np.random.default_rng(2).normal(0.1, 1, 60)
    rows = np.arange(60)
    found = joined([parts_from(u, u[np.newaxis], rows)], alpha=0.05)[0]
    theirs = stats.ttest_1samp(u, 0)
    assert (found.p, found.df) == pytest.approx((theirs.pvalue, theirs.df), rel=1e-10)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((max(-1, interval.low), interval.high), rel=1e-10)


def compare_family(pairs: list[tuple[Run, Run]]) -> tuple[Crossed, ...]:
    return joined([parts_of(a, b) for a, b in pairs], alpha=0.05)


def family(seed: int, *, models: int = 4, shift: float = 0.0) -> tuple[Crossed, ...]:
    runs = [make_run(10 * seed + i, accuracy=0.9 - shift * i, training=0.1, writers=60) for i in range(models)]
    return compare_family(list(combinations(runs, 2)))


def test_intervals_exclude_zero_exactly_where_the_adjusted_p_is_small() -> None:
    found = [each for seed in range(12) for each in family(seed, shift=0.03)]
    decided = [each.low > 0 or each.high < 0 for each in found]
    assert decided == [each.p_adjusted < 0.05 for each in found]
    assert 10 < sum(decided) < 62, "some are and some are not"
    for each in found:
        assert each.p <= each.p_adjusted <= min(1.0, 6.3 * each.p)
        assert -1 <= each.low <= each.low_alone <= each.difference <= each.high_alone <= each.high <= 1


def test_the_critical_value_of_all_pairs_is_tukey_s() -> None:
    # four independent means with many degrees of freedom: the range of four normal variables
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(4), 5000)
    noise = rng.normal(size=20000)
    parts = []
    for a, b in combinations(range(4), 2):
        u = noise * ((groups == a).astype(float) - (groups == b))
        rows = np.arange(20000)
        parts.append(parts_from(u - u.mean(), np.zeros((1, 20000)), rows))
    point = joined(parts, alpha=0.05)[0].point
    tukey = stats.studentized_range.isf(0.05, 4, 10_000) / np.sqrt(2)
    assert stats.norm.isf(point / 2) == pytest.approx(tukey, abs=0.02)


def test_a_family_of_equal_models_is_wrong_in_at_most_one_in_twenty() -> None:
    wrong = sum(any(each.p_adjusted < 0.05 for each in family(seed)) for seed in range(120))
    assert wrong <= 13  # 6 expected; 99.7 % of binomial (120, 0.05) lies in 0 .. 13


def test_equal_differences_everywhere_are_no_certainty() -> None:
    a = make_run(0)
    one_more = a.correct.copy()
    one_more[0, np.flatnonzero(~a.correct[0])[0]] = True
    b = Run(**{**vars(a), "model": "b", "correct": one_more})
    found = compare_family([(b, a)])[0]
    assert found.difference == pytest.approx(1 / 600)
    assert (found.p > 0.3, found.low < 0 < found.high) == (True, True)
    same = compare_family([(a, Run(**{**vars(a), "model": "c"}))])[0]
    assert (same.difference, same.p, same.standard_error) == (0, 1, 1 / 600)


def _plainly(a: Run, b: Run) -> dict[str, float]:
    """The parts of a pair by the formulas of docs/statistics.md, one sum after the other."""
    n, m, k = len(a.ids), len(a.test_ids), FOLDS
    table = [[int(a.test_correct[0, t, c]) - int(b.test_correct[0, t, c]) for c in range(m)] for t in range(k)]
    u = [int(a.correct[0, i]) - int(b.correct[0, i]) for i in range(n)]
    u += [sum(table[t][c] for t in range(k)) / k for c in range(m)]
    mean, groups = sum(u) / (n + m), [*a.groups.tolist(), *a.test_groups.tolist()]
    sums = [sum(x - mean for x, g in zip(u, groups, strict=True) if g == one) for one in set(groups)]
    sizes = [groups.count(one) for one in set(groups)]
    rows, columns = [sum(row) / m for row in table], [sum(row[c] for row in table) / k for c in range(m)]
    grand = sum(rows) / k
    ms_t = m * sum((row - grand) ** 2 for row in rows) / (k - 1)
    rest = [(table[t][c] - rows[t] - columns[c] + grand) ** 2 for t in range(k) for c in range(m)]
    return {
        "mean": mean,
        "samples": sum(x * x for x in sums) / (n + m) ** 2 * len(sums) / (len(sums) - 1),
        "samples_df": (n + m) ** 2 / sum(size**2 for size in sizes) - 1,
        "ms_t": ms_t / m,
        "d": (ms_t - sum(rest) / ((k - 1) * (m - 1))) / m,
    }


def test_a_family_agrees_with_sums_written_out() -> None:
    runs = [make_run(i, training=0.2, writers=40, n=100, m=60) for i in range(3)]
    pairs = list(combinations(runs, 2))
    plain, factor = [_plainly(a, b) for a, b in pairs], 1 / FOLDS + 0.5 * 20 / 80
    for found, one in zip(compare_family(pairs), plain, strict=True):
        training, square = (
            factor * (one[key] + sum(each[key] for each in plain) / len(plain)) / 2 for key in ("d", "ms_t")
        )
        variance = one["samples"] + max(0.0, training)
        df = variance**2 / (one["samples"] ** 2 / one["samples_df"] + square**2 / (2 * (FOLDS - 1)))
        df = min(max(df, 2 * (FOLDS - 1)), one["samples_df"])
        expected = (one["mean"], variance**0.5, df, 2 * stats.t.sf(abs(one["mean"]) / variance**0.5, df))
        assert (found.difference, found.standard_error, found.df, found.p) == pytest.approx(expected, rel=1e-8)


def test_swapping_the_sides_flips_the_interval() -> None:
    a, b = make_run(1), make_run(2, accuracy=0.8)
    one, other = compare_family([(a, b)])[0], compare_family([(b, a)])[0]
    assert (one.low, one.high, one.p) == pytest.approx((-other.high, -other.low, other.p))


def test_known_writers_widen_the_interval_where_they_are_alike() -> None:
    rng = np.random.default_rng(4)
    writers = np.repeat(np.arange(40), 10)
    u = 0.3 * rng.normal(size=40)[writers] + 0.3 * rng.normal(size=400)
    rows = np.arange(400)
    by_writer, by_sample = (
        joined([parts_from(u, np.zeros((1, 400)), clusters)], alpha=0.05)[0] for clusters in (writers, rows)
    )
    assert by_writer.standard_error > 2 * by_sample.standard_error
    assert by_writer.df == pytest.approx(39)


def test_the_trainings_of_a_pair_are_moderated_by_its_family() -> None:
    quiet, noisy = (parts_of(make_run(i), make_run(20 + i, training=spread)) for i, spread in ((5, 0.0), (6, 0.6)))
    own = [joined([each], alpha=0.05)[0] for each in (quiet, noisy)]
    both = joined([quiet, noisy], alpha=0.05)
    assert own[0].training_error < both[0].training_error < both[1].training_error < own[1].training_error
    raw = [each.square - each.interaction for each in (quiet, noisy)]
    assert both[1].training_error ** 2 == pytest.approx((raw[1] + np.mean(raw)) / 2)


def test_the_overlap_of_training_sets_widens_the_part_of_trainings_alone() -> None:
    table = np.random.default_rng(8).normal(size=(5, 40)) + np.random.default_rng(9).normal(size=(5, 1))
    rows = np.arange(40)
    apart, shared = (
        joined([parts_from(table.mean(axis=0), table, rows, overlap=each)], alpha=0.05)[0] for each in (0.0, 0.25)
    )
    assert shared.samples_error == apart.samples_error
    assert shared.training_error**2 / apart.training_error**2 == pytest.approx((1 / 5 + 1 / 8) / (1 / 5))


def test_disjoint_training_sets_are_compared_on_the_test_part_without_an_overlap() -> None:
    runs = [Run(**{**vars(make_run(seed, training=0.3)), "disjoint": True}) for seed in (1, 2)]
    found, whole = compare_family([(runs[0], runs[1])])[0], compare_family([(make_run(1), make_run(2))])[0]
    table = runs[0].test_correct[0].astype(float) - runs[1].test_correct[0]
    expected = joined([alone(table)], alpha=0.05)[0]
    assert (found.difference, found.standard_error, found.df) == pytest.approx(
        (expected.difference, expected.standard_error, expected.df)
    )
    assert (found.samples, found.overlap) == (200, 0)
    assert (whole.samples, whole.overlap) == (600, pytest.approx(0.25))


def test_an_accuracy_covers_other_samples_and_other_trainings() -> None:
    run = make_run(3, training=0.3, writers=60)
    table = run.test_correct[0].astype(float)
    u = table.mean(axis=0)

    def width(table: np.ndarray, clusters: np.ndarray, overlap: float = 0.25) -> float:
        low, high = accuracy_interval(u, table, clusters, overlap=overlap)
        assert 0 <= low < u.mean() < high <= 1
        return high - low

    alike, alone = np.tile(u, (5, 1)), np.arange(len(u))
    whole = width(table, run.test_groups)
    assert whole > width(alike, run.test_groups)
    assert whole > width(table, run.test_groups, overlap=0.0)
    assert width(alike, alone) == pytest.approx(2 * stats.t.isf(0.025, 199) * u.std(ddof=1) / np.sqrt(200), rel=0.1)


def test_an_accuracy_of_single_samples_and_one_model_is_wilson_s_with_student_s_t() -> None:
    right = np.array([1.0] * 45 + [0.0] * 5)
    low, high = accuracy_interval(right, right[np.newaxis], np.arange(50), overlap=0.25)
    z, n = stats.t.isf(0.025, 49), 49  # p (1 - p) over the unbiased variance of the mean
    ends = [
        (0.9 + z * z / 2 / n + sign * z * np.sqrt(0.09 / n + z * z / 4 / n**2)) / (1 + z * z / n) for sign in (-1, 1)
    ]
    assert (low, high) == pytest.approx(tuple(ends), rel=1e-12)
    assert accuracy_interval(np.ones(50), np.ones((3, 50)), np.arange(50), overlap=0.25) == pytest.approx(
        wilson(1.0, 50, df=49)
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_accuracy_without_a_single_error_has_the_interval_of_its_samples(share: float) -> None:
    """Also if the networks differ on the test part: p (1 - p) is 0 there, and V at most that of the trainings."""
    n, m = 108, 36
    u, alone, alike = np.full(n, share), np.arange(n), np.full((5, m), share)
    alike[:, 3] = 1 - share  # each network predicts one test sample otherwise: their means differ by rounding alone
    expected = wilson(share, n, df=n - 1)
    assert accuracy_interval(u, alike, alone, overlap=0.25) == expected
    assert expected[1] - expected[0] < 0.04
    apart = np.full((5, m), share)
    apart[0, :30] = 1 - share
    low, high = accuracy_interval(u, apart, alone, overlap=0.25)
    assert 0.04 < high - low < 1


def test_the_interval_of_an_accuracy_holds_the_truth_as_often_as_said() -> None:
    """Samples of unequal difficulty, trainings of unequal skill: both are drawn anew each time."""
    rng, held, truth = np.random.default_rng(7), 0, 0.9
    for _ in range(400):
        hard, skill = rng.normal(size=300), 0.15 * rng.normal(size=(8, 1))
        level = stats.norm.ppf(truth) * np.sqrt(2 + 0.15**2)
        table = ((level + skill + hard + rng.normal(size=(8, 300))) > 0).astype(float)
        low, high = accuracy_interval(table.mean(axis=0), table, np.arange(300), overlap=0.0)
        held += low <= truth <= high
    assert held / 400 == pytest.approx(0.95, abs=0.033)

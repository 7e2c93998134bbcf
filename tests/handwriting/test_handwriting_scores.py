"""Scores of a class against values worked out by hand, SciPy, and intervals that must cover what they claim to."""

import numpy as np
import pytest
from scipy.stats import bootstrap, spearmanr

from shearbench.handwriting import scores
from shearbench.handwriting.scores import ClassPredictions, Writers, by_group, gain, rank_correlation, summary
from shearbench.statistics.proportions import wilson


def _predicted(
    hits: np.ndarray, labels: np.ndarray, counted: np.ndarray | None = None, sure: float = 0.9
) -> ClassPredictions:
    """Networks (folds, n) that give the true class ``sure`` where they hit, and the next class where they miss."""
    folds, n = hits.shape
    predictions = np.full((folds, n, 10), (1 - sure) / 9, np.float32)
    chosen = np.where(hits, labels, (labels + 1) % 10)
    predictions[np.arange(folds)[:, None], np.arange(n), chosen] = sure
    return ClassPredictions(predictions, labels, np.ones(n, bool) if counted is None else counted)


LABELS = np.array([0, 1, 2, 3, 4, 5])
HITS = np.array([[1, 1, 0, 1, 1, 0], [1, 0, 0, 1, 1, 1]], bool)
COUNTED = np.array([1, 1, 1, 1, 1, 0], bool)


def test_accuracy_and_loss_are_means_over_folds_of_the_digits_that_count() -> None:
    found = summary(_predicted(HITS, LABELS, COUNTED), Writers.of(np.array([0, 0, 1, 1, 2, 2]), seed=1))
    assert found["n"] == 5
    assert found["accuracy"] == pytest.approx((4 / 5 + 3 / 5) / 2)
    assert found["accuracy_sd"] == pytest.approx(np.std([4 / 5, 3 / 5], ddof=1))
    assert found["accuracy_all"] == pytest.approx((4 / 6 + 3 / 6) / 2)  # what does not count is misclassified
    right, wrong = -np.log(0.9), -np.log(0.1 / 9)
    assert found["loss"] == pytest.approx((7 * right + 3 * wrong) / 10, rel=1e-5)
    assert found["class_loss"][1] == pytest.approx((right + wrong) / 2, rel=1e-5)
    assert found["class_loss"][5:] == [None] * 5
    assert found["accuracy_interval"] is None  # three writers say nothing about others


def test_no_digit_that_counts_gives_no_score() -> None:
    found = summary(_predicted(HITS, LABELS, np.zeros(6, bool)), Writers.of(np.arange(6), seed=1))
    assert found == {"n": 0, "n_all": 6, "writers": 0}


def test_the_confusion_counts_every_networks_answer() -> None:
    counts = _predicted(HITS, LABELS, COUNTED).confusion
    assert counts.sum() == 10
    assert counts[1].tolist() == [0, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert counts[2, 3] == 2


def test_with_a_digit_a_writer_the_interval_is_the_bootstrap_of_digits() -> None:
    rng = np.random.default_rng(0)
    hits = rng.random((1, 200)) < 0.8
    predicted = _predicted(hits, rng.integers(0, 10, 200))
    low, high = summary(predicted, Writers.of(np.arange(200), seed=1))["accuracy_interval"]
    known = bootstrap((hits[0],), np.mean, method="percentile", n_resamples=4000, rng=rng).confidence_interval
    assert (low, high) == pytest.approx((known.low, known.high), abs=0.01)


def test_digits_of_a_writer_that_are_all_alike_count_as_one() -> None:
    writers = np.repeat(np.arange(40), 10)
    hits = np.repeat(np.random.default_rng(1).random(40) < 0.7, 10)[None]
    predicted = _predicted(hits, np.arange(400) % 10)
    clustered = summary(predicted, Writers.of(writers, seed=1))["accuracy_interval"]
    single = summary(predicted, Writers.of(np.arange(400), seed=1))["accuracy_interval"]
    ratio = (clustered[1] - clustered[0]) / (single[1] - single[0])
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_the_interval_over_writers_covers_the_truth_as_often_as_it_claims() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    numbers = np.repeat(np.arange(30), 10)
    drawn = Writers.of(numbers, seed=3)
    everyone = np.ones(300, bool)
    for _ in range(300):
        skill = rng.beta(8, 2, 30)[numbers]  # writers differ; their mean is 0.8
        hits = (rng.random(300) < skill).astype(float)
        interval = drawn.interval(drawn.means(hits, everyone), everyone)
        assert interval is not None
        covered += interval[0] <= 0.8 <= interval[1]
    assert 0.90 <= covered / 300 <= 0.98


def test_a_gain_is_of_the_digits_that_count_before_and_after() -> None:
    writers = Writers.of(np.repeat(np.arange(10), 10), seed=1)
    labels = np.arange(100) % 10
    rng = np.random.default_rng(4)
    before = _predicted((rng.random(100) < 0.5)[None], labels)
    after = _predicted(np.ones((1, 100), bool), labels, rng.random(100) < 0.8)
    found = gain(after, before, writers)
    assert found["accuracy"] == pytest.approx(1 - before.right[after.counted].mean())
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high
    filtered = _predicted(before.hits, labels, before.right > 0)  # rejects what is misclassified
    for same in (before, filtered):
        assert gain(same, before, writers)["accuracy"] == 0
        assert gain(same, before, writers)["accuracy_interval"] == (0, 0)


def test_a_group_has_wilsons_interval_and_a_verdict_only_where_there_is_enough() -> None:
    groups = np.repeat([1, 2, 3, 4], [60, 60, 60, 5])
    hits = np.concatenate([np.arange(60) % 10 < 9, np.arange(60) % 10 < 9, np.arange(60) % 10 < 4, [1, 1, 1, 1, 0]])
    labels = np.arange(len(groups)) % 10
    own = Writers.of(np.arange(len(groups)) // 5, seed=1)
    rows = {row["group"]: row for row in by_group(_predicted(hits.astype(bool)[None], labels), groups, own)}
    assert rows[1]["accuracy"] == 0.9
    assert (rows[1]["low"], rows[1]["high"]) == wilson(0.9, 60)
    assert rows[3]["verdict"] == scores.WORSE
    assert rows[1]["verdict"] == scores.BETTER
    assert rows[4]["verdict"] == scores.TOO_FEW
    nothing = by_group(_predicted(hits.astype(bool)[None], labels, groups != 2), groups, own)[1]
    assert (nothing["n"], nothing["verdict"]) == (0, scores.TOO_FEW)


@pytest.mark.parametrize("alike", [0.0, 1.5])
@pytest.mark.parametrize(("groups", "digits"), [(3, 20), (9, 40)])
def test_equal_groups_are_called_different_in_at_most_one_class_in_twenty(
    alike: float, groups: int, digits: int
) -> None:
    rng = np.random.default_rng(5)
    named = np.repeat(np.arange(groups), digits)
    writers = Writers.of(np.arange(groups * digits) // 10, seed=1)
    called = []
    for _ in range(200):
        skill = alike * rng.normal(size=groups * digits // 10)[writers.numbers]  # digits of one writer are alike
        right = rng.random(len(named)) < 1 / (1 + np.exp(-3.2 - skill))  # 96 % where they are not
        rows = by_group(_predicted(right[None], np.arange(len(named)) % 10), named, writers)
        called.append(any(row["verdict"] in (scores.BETTER, scores.WORSE) for row in rows))
    assert np.mean(called) <= 0.095  # 99.7 % of binomial (200, 0.05)


def test_a_group_that_is_much_worse_is_called_so() -> None:
    named = np.repeat(np.arange(4), 40)
    right = np.where(named == 2, np.arange(160) % 10 < 4, np.arange(160) % 10 < 9)
    rows = by_group(_predicted(right[None], np.arange(160) % 10), named, Writers.of(np.arange(160) // 10, seed=1))
    assert [row["verdict"] for row in rows][2] == scores.WORSE


def test_the_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(6)
    feature = rng.normal(size=120)
    right = (rng.random(120) < 1 / (1 + np.exp(3 * feature))).astype(float)
    writers = Writers.of(np.arange(120) // 4, seed=1)
    value, interval = rank_correlation(feature, right, writers, np.ones(120, bool))
    assert value == pytest.approx(spearmanr(feature, right).statistic)
    assert interval is not None
    assert interval[0] < value < interval[1] < 0
    feature[:20] = np.nan
    value, _ = rank_correlation(feature, right, writers, np.ones(120, bool))
    assert value == pytest.approx(spearmanr(feature[20:], right[20:]).statistic)
    assert rank_correlation(np.ones(120), right, writers, np.ones(120, bool))[0] == 0

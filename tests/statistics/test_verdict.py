"""The four words, each side of each threshold."""

import pytest

from shearbench.statistics.resampled_t import RopeProbabilities
from shearbench.statistics.verdict import decide, decide_by_interval, reversed_verdict


@pytest.mark.parametrize(
    ("p", "probabilities", "word", "rule"),
    [
        (0.001, (0.0, 0.02, 0.98), "better", "P(better by more than 0.01) = 0.980 >= 0.95 and Holm p = 0.001 < 0.05"),
        (0.001, (0.98, 0.02, 0.0), "worse", "P(worse by more than 0.01) = 0.980 >= 0.95 and Holm p = 0.001 < 0.05"),
        (0.5, (0.01, 0.97, 0.02), "equivalent", "P(within 0.01) = 0.970 >= 0.95"),
        (0.01, (0.0, 0.97, 0.03), "equivalent", "too small to matter"),
        (0.05, (0.0, 0.02, 0.98), "undecided", "but Holm p = 0.05 >= 0.05"),
        (0.01, (0.0, 0.3, 0.7), "undecided", "it may be too small to matter"),
        (0.3, (0.2, 0.3, 0.5), "undecided", "P(equivalent) = 0.300, both < 0.95"),
    ],
)
def test_the_word_and_the_rule_that_gave_it(p, probabilities, word, rule):
    verdict = decide(p, RopeProbabilities(*probabilities, rope=0.01))
    assert verdict.word == word
    assert rule in verdict.rule


@pytest.mark.parametrize("probabilities", [(0.0, 0.02, 0.98), (0.98, 0.02, 0.0), (0.01, 0.97, 0.02), (0.2, 0.3, 0.5)])
def test_seen_from_the_other_side_a_verdict_is_the_one_on_the_swapped_evidence(probabilities):
    word = decide(0.001, RopeProbabilities(*probabilities, rope=0.01)).word
    swapped = decide(0.001, RopeProbabilities(*probabilities[::-1], rope=0.01)).word
    assert reversed_verdict(word) == swapped


def test_alpha_moves_both_thresholds():
    probabilities = RopeProbabilities(0.0, 0.08, 0.92, rope=0.01)
    assert decide(0.07, probabilities, alpha=0.05).word == "undecided"
    assert decide(0.07, probabilities, alpha=0.1).word == "better"


@pytest.mark.parametrize(
    ("low", "high", "word", "rule"),
    [
        (0.001, 0.03, "better", "for 6 pairs at once +0.10 to +3.00 points: above 0 (adjusted p = 0.04)"),
        (-0.03, -0.001, "worse", "below 0"),
        (-0.01, 0.01, "equivalent", "within 1 points of 0"),
        (0.001, 0.01, "equivalent", "there is a difference (adjusted p = 0.04), too small to matter"),
        (-0.002, 0.011, "undecided", "holds 0, and is not within 1 points of it"),
        (0.0, 0.02, "undecided", "holds 0"),
    ],
)
def test_an_interval_gives_the_word(low, high, word, rule):
    verdict = decide_by_interval(low, high, rope=0.01, p_adjusted=0.04, family=6)
    assert verdict.word == word
    assert rule in verdict.rule
    assert decide_by_interval(-high, -low, rope=0.01, p_adjusted=0.04, family=6).word == reversed_verdict(verdict.word)

"""Sentences and chart against rows made by hand."""

import pytest

from shearbench.report.findings import chart, sentences


def row(dataset: str, model: str, cv: float, test: tuple[float, float, float]) -> dict[str, object]:
    low, mean, high = test
    accuracies = {
        "cv_accuracy_mean": cv,
        "test_accuracy_low": low,
        "test_accuracy_mean": mean,
        "test_accuracy_high": high,
    }
    return {"dataset": dataset, "model": model, **accuracies, "folds": 5, "n_test": 1000}


A = row("mnist", "a", 0.97, (0.950, 0.960, 0.970))
B = row("mnist", "b", 0.96, (0.960, 0.970, 0.980))
C = row("mnist", "c", 0.90, (0.880, 0.900, 0.920))


def test_the_best_is_named_by_cross_validation_with_its_interval() -> None:
    (sentence,) = sentences([A, B, C])
    plain = sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert plain.startswith("On mnist, a is ahead in cross-validation with 97.0 % over 5 folds")
    assert "96.0 % of the 1,000 sealed test digits (95 % interval 95.0 to 97.0 %)" in plain
    assert "intervals of b overlap" in plain


def test_no_overlap_and_a_network_alone_are_said_as_they_are() -> None:
    assert "No other test interval reaches its own." in sentences([A, C])[0]
    assert sentences([A])[0].endswith("%).")


def test_chart_has_one_scale_that_holds_everything_drawn() -> None:
    drawn = chart([A, C, row("mechanical", "a", 0.871, (0.86, 0.88, 0.90))])
    assert drawn.start == 85
    assert drawn.ticks == [(0.0, "85"), (33.333, "90"), (66.667, "95"), (100.0, "100")]
    assert [name for name, _ in drawn.groups] == ["mnist", "mechanical"]
    bar = drawn.groups[0][1][0]
    assert (bar.low, bar.dot, bar.high) == pytest.approx((66.667, 73.333, 80.0))


@pytest.mark.parametrize("least", [0.0, 0.004, 0.5, 0.999, 1.0])
def test_chart_of_any_accuracy(least: float) -> None:
    drawn = chart([row("mnist", "a", least, (least, least, 1.0))])
    assert 0 <= drawn.start < 100
    for _, bars in drawn.groups:
        assert all(0 <= value <= 100 for bar in bars for value in (bar.low, bar.dot, bar.high, bar.cross_validated))

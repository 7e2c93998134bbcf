"""Numbers, counts and chart against rows made by hand."""

import pytest

from shearbench.report.findings import chart, p_value, points, span, verdicts


def row(dataset: str, model: str, test: float, cv: tuple[float, float, float]) -> dict[str, object]:
    low, mean, high = cv
    accuracies = {
        "test_accuracy_mean": test,
        "cv_accuracy_low": low,
        "cv_accuracy_mean": mean,
        "cv_accuracy_high": high,
    }
    return {"dataset": dataset, "model": model, **accuracies, "folds": 5, "repeats": 1, "n_test": 1000}


A = row("mnist", "a", 0.97, (0.950, 0.960, 0.970))
B = row("mnist", "b", 0.96, (0.960, 0.970, 0.980))
SHADES = dict.fromkeys("abc", "#000000")
C = row("mnist", "c", 0.90, (0.880, 0.900, 0.920))


def pair(a: str, b: str, verdict: str, within: str = "mnist", kind: str = "models") -> dict[str, str]:
    return {"kind": kind, "within": within, "a": a, "b": b, "verdict": verdict}


def test_pairs_are_counted_by_verdict() -> None:
    pairs = [pair("a", "b", verdict) for verdict in ("better", "worse", "undecided", "equivalent")]
    assert verdicts(pairs) == "Of 4 pairs: 2 different, 1 equivalent, 1 undecided"


def test_differences_have_signs_and_small_p_values_no_zeros() -> None:
    assert points(0.0123) == "+1.23"
    assert points(-0.0123) == "\N{MINUS SIGN}1.23"
    assert p_value(0.00012) == "< 0.001"
    assert p_value(0.0284) == "0.028"


def test_chart_has_one_scale_that_holds_everything_drawn() -> None:
    drawn = chart([A, C, row("mechanical", "a", 0.871, (0.86, 0.88, 0.90))], SHADES)
    assert drawn["start"] == 85
    assert drawn["ticks"] == [(0.0, "85"), (33.333, "90"), (66.667, "95"), (100.0, "100")]
    assert list(drawn["groups"]) == ["mnist", "mechanical"]
    bar = drawn["groups"]["mnist"][0]
    assert (bar["low"], bar["dot"], bar["high"]) == pytest.approx((66.667, 73.333, 80.0))


@pytest.mark.parametrize("least", [0.0, 0.004, 0.5, 0.999, 1.0])
def test_chart_of_any_accuracy(least: float) -> None:
    drawn = chart([row("mnist", "a", least, (least, least, 1.0))], SHADES)
    assert 0 <= drawn["start"] < 100
    ((bar,),) = drawn["groups"].values()
    assert all(0 <= bar[name] <= 100 for name in ("low", "dot", "high", "test"))


def test_an_interval_that_says_nothing_is_said_in_words() -> None:
    assert (span(0.912, 0.944), span(0.0, 1.0), span(0.3, 0.81)) == ("91.2 to 94.4", "too few folds", "too few folds")

"""The two sentences of the first screen: each follows from the verdicts, and opposite records give the opposite."""

from typing import Any

import pytest

from shearbench.report.answer import answer


def row(dataset: str, model: str, cv: float) -> dict[str, Any]:
    return {"dataset": dataset, "model": model, "cv_accuracy_mean": cv, "folds": 5, "repeats": 1, "n_train": 4000}


ROWS = [row("mnist", "a", 0.97), row("mnist", "b", 0.96), row("mnist", "c", 0.90)]
BOTH = [*ROWS, row("mechanical", "a", 0.90), row("mechanical", "b", 0.95)]


def networks(a: str, b: str, verdict: str, within: str = "mnist") -> dict[str, Any]:
    return {"kind": "models", "within": within, "a": a, "b": b, "verdict": verdict}


def datasets(model: str, verdict: str, difference: float, a: str = "mnist", b: str = "mechanical") -> dict[str, Any]:
    return {"kind": "datasets", "within": model, "a": a, "b": b, "verdict": verdict, "difference": difference}


def said(rows: list[dict[str, Any]], pairs: list[dict[str, Any]], refused: str | None = None) -> list[str]:
    sentences = answer(rows, {"rows": pairs, "refused": refused})
    return [each.replace("\N{NO-BREAK SPACE}", " ") for each in sentences]


def test_the_one_ahead_is_named_on_each_dataset_by_cross_validation() -> None:
    (first,) = said(BOTH, [])
    assert first == (
        "On mnist a is ahead, reading 97.0 % of 4,000 held-out digits correctly (5 folds); "
        "on mechanical b is ahead, reading 95.0 % of 4,000 held-out digits correctly (5 folds)."
    )


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("better", "worse"), ": it is better than b and c."),
        (("worse", "better"), ": it is worse than b and c."),
        (("equivalent", "equivalent"), ": it is equivalent to b and c."),
        (("undecided", "undecided"), ": it is not told apart from b and c."),
        (("undecided", "worse"), ": it is better than c, not told apart from b."),
    ],
)
def test_what_is_said_of_the_others_is_their_verdict(verdicts: tuple[str, str], expected: str) -> None:
    pairs = [
        networks("a", "b", verdicts[0]),
        networks("c", "a", verdicts[1]),  # the other way round
        networks("b", "c", "better"),
        networks("a", "b", "worse", within="mechanical"),
    ]
    (first,) = said(ROWS, pairs)
    assert first.endswith(expected)


def test_what_leaving_the_first_dataset_costs_is_the_verdict_on_the_datasets() -> None:
    losing = [datasets("a", "better", 0.07), datasets("b", "undecided", 0.01), datasets("c", "better", 0.026)]
    assert said(BOTH, losing)[1] == (
        "From mnist to mechanical a and c lose 2.6 to 7.0 points of that accuracy, and for b it is undecided."
    )
    gaining = [datasets("a", "worse", -0.07), datasets("b", "equivalent", 0.001), datasets("c", "undecided", -0.02)]
    assert said(BOTH, gaining)[1] == (
        "From mnist to mechanical a gains 7.0 points of that accuracy, and b stays equal, and for c it is undecided."
    )


def test_a_pair_of_datasets_may_be_named_either_way_round() -> None:
    one, other = (
        said(BOTH, [datasets("a", *verdict, *names)])[1]
        for verdict, names in (
            (("better", 0.07), ("mnist", "mechanical")),
            (("worse", -0.07), ("mechanical", "mnist")),
        )
    )
    assert one == other == "From mnist to mechanical a loses 7.0 points of that accuracy."


def test_without_verdicts_nothing_is_claimed() -> None:
    assert said(BOTH, [], refused="the folds differ")[1] == (
        "Whether these differences are real cannot be said here: the comparison was refused."
    )
    assert len(said(ROWS, [])) == 1

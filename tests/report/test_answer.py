"""The sentences of the first screen: each follows from a verdict, and opposite records give the opposite."""

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from shearbench.records import write_json
from shearbench.report.claims import read_claims
from shearbench.report.overview import answer, answers

FULL = Path(__file__).parents[2] / "reports" / "full"


def row(dataset: str, model: str, cv: float, *, parameters: int = 100, seconds: float = 10.0) -> dict[str, Any]:
    named = {"dataset": dataset, "model": model, "cv_accuracy_mean": cv, "n_train": 4000}
    return {**named, "parameters": parameters, "seconds_per_fold": seconds}


ROWS = [row("mnist", "a", 0.97), row("mnist", "b", 0.96, parameters=20, seconds=5.0), row("mnist", "c", 0.90)]
BOTH = [*ROWS, row("mechanical", "a", 0.90), row("mechanical", "b", 0.95)]


def pair(kind: str, within: str, a: str, b: str, verdict: str, difference: float = 0.042) -> dict[str, Any]:
    numbers = {
        "mean_a": 0.9,
        "mean_b": 0.9,
        "difference": difference,
        "low": difference - 0.012,
        "high": difference + 0.011,
        "rope": 0.01,
    }
    return {"kind": kind, "within": within, "a": a, "b": b, "verdict": verdict, "detectable": 0.025, **numbers}


def said(rows: list[dict[str, Any]], pairs: list[dict[str, Any]], refused: str | None = None, claims=()) -> list[str]:
    sentences = answer(rows, {"rows": pairs, "refused": refused}, claims)
    return [each.replace("\N{NO-BREAK SPACE}", " ") for each in sentences]


def test_the_best_of_each_dataset_is_named_with_its_number() -> None:
    assert said(BOTH, []) == [
        "a has the highest cross-validated accuracy on mnist (97.0 %, n = 4,000).",
        "b has the highest cross-validated accuracy on mechanical (95.0 %, n = 4,000).",
    ]


def test_better_is_said_with_difference_and_interval_from_either_side() -> None:
    expected = "(97.0 %, n = 4,000): 4.2 points above b (95 % CI 3.0 to 5.3)."
    assert said(ROWS, [pair("models", "mnist", "a", "b", "better")])[0].endswith(expected)
    turned = {**pair("models", "mnist", "b", "a", "worse", -0.042), "low": -0.053, "high": -0.03}
    assert said(ROWS, [turned])[0].endswith(expected)


def test_undecided_is_never_said_without_what_could_have_been_seen() -> None:
    pairs = [pair("models", "mnist", "a", "b", "undecided"), pair("models", "mnist", "c", "a", "undecided")]
    (text,) = said(ROWS, [pairs[0], {**pairs[1], "detectable": 0.012}])
    detects = "this run detects differences of 2.5 and 1.2 points there with the declared power."
    assert text.endswith(f"Against b and c the verdict is undecided; {detects}")


def test_who_is_as_good_for_less_is_named() -> None:
    pairs = [pair("models", "mnist", "a", "b", "equivalent"), pair("models", "mnist", "a", "c", "equivalent")]
    (text,) = said(ROWS, pairs)
    assert "It is equivalent to b and c (within ± 1.0 percentage points)." in text
    assert text.endswith("b needs 0.2 times the parameters and 0.5 times the training time.")


def test_a_best_that_the_verdict_calls_worse_is_not_called_better() -> None:
    (text,) = said(ROWS, [pair("models", "mnist", "a", "b", "worse", -0.02)])
    above = "b is 2.0 points above it (95 % CI 0.9 to 3.2)."
    assert text.endswith(f"(97.0 %, n = 4,000). On all samples that a model did not train on, {above}")


@pytest.mark.parametrize("turn", [False, True])
def test_what_leaving_the_first_dataset_costs(turn: bool) -> None:
    names = ("mechanical", "mnist") if turn else ("mnist", "mechanical")
    sign = -1 if turn else 1
    words = {"loses": "worse" if turn else "better", "gains": "better" if turn else "worse"}
    pairs = [
        pair("datasets", "a", *names, words["loses"], sign * 0.06),
        pair("datasets", "b", *names, words["gains"], sign * -0.03),
        pair("datasets", "c", *names, "undecided", 0.0),
    ]
    text = said(BOTH, pairs)[2]
    assert text.startswith("From mnist to mechanical, a loses 6.0 points (95 % CI ")
    assert ", b gains 3.0 points (95 % CI " in text
    assert text.endswith(
        "for c the verdict is undecided; this run detects a difference of 2.5 points there with the declared power."
    )


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("better", "the order is the same here"),
        ("worse", "the order is the opposite here"),
        ("equivalent", "the two are equivalent here"),
        ("undecided", "the two are undecided here"),
    ],
)
def test_a_published_claim_is_set_beside_the_verdict(verdict: str, words: str) -> None:
    rows = [row("mechanical", "cnn3", 0.9), row("mechanical", "resnet18", 0.8)]
    pairs = [pair("models", "mechanical", "cnn3", "resnet18", verdict)]
    claims = read_claims(FULL.parents[1])
    text = said(rows, pairs, claims=claims.values())[-1]
    assert words in text
    assert text.startswith("The first study reports 98.17 % for its counterpart of cnn3 and 83.46 % for that of resnet")
    assert not any("reports" in text for text in said(rows, pairs)), "said without a claim"


def test_every_mix_of_outcomes_gives_whole_sentences() -> None:
    for first, second, third in product(["better", "worse", "equivalent", "undecided"], repeat=3):
        pairs = [
            pair("models", "mnist", "a", "b", first),
            pair("models", "mnist", "a", "c", second),
            pair("datasets", "a", "mnist", "mechanical", third),
        ]
        texts = said(BOTH, pairs)
        assert all(text.endswith(".") and text[0].strip() and "  " not in text for text in texts)
        undecided = "undecided" in (first, second)
        assert ("this run detects" in texts[0]) == undecided


def test_a_refused_comparison_is_said_to_be_refused() -> None:
    assert said(ROWS, [], refused="a fold is missing")[-1].endswith("the comparison was refused.")


def test_the_same_datasets_at_full_size_stand_beside_this_run(tmp_path: Path) -> None:
    write_json(tmp_path / "reports" / "pairs.json", {"rows": [], "refused": None})
    assert list(answers(tmp_path, ROWS)) == ["This run, n = 4,000"]

    shutil.copytree(FULL, tmp_path / "reports" / "full")
    ours, full = answers(tmp_path, ROWS).values()
    assert ours[0].startswith("a has the highest cross-validated accuracy on mnist (97.0")
    assert full[0].startswith("cnn3 has the highest cross-validated accuracy on mnist (99.1")
    assert "mechanical" not in full[0]
    assert list(answers(tmp_path, ROWS))[1] == "At full size, n = 60,000, compared on held-out samples"

    others = [{**each, "dataset": "shapes"} for each in ROWS]
    assert len(answers(tmp_path, others)) == 1

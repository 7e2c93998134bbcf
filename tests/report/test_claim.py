"""Sentences on the claim: each follows from the verdicts, and opposite records give the opposite."""

from pathlib import Path
from typing import Any

import pytest

from shearbench.records import write_json
from shearbench.report import claim
from shearbench.report.claim import AblationResult
from shearbench.report.sections import claim as section

PUBLISHED, OTHERS = "divided", ("pixel", "detrend")
NETWORK = {"width": 1.0, "recipe": {"epochs": 3, "learning_rate": 0.001, "schedule": "constant"}}


def _pair(family: str, within: str, a: str, b: str, verdict: str) -> dict[str, Any]:
    sign = {"better": 1, "worse": -1}.get(verdict, 0)
    return {
        "family": family,
        "kind": "datasets" if family == "datasets" else "models",
        **{"within": within, "a": a, "b": b, "verdict": verdict, "rule": "a rule"},
        **{"mean_a": 0.5 + 0.2 * sign, "mean_b": 0.5, "difference": 0.2 * sign},
        **{"low": 0.2 * sign - 0.1, "high": 0.2 * sign + 0.1, "p_holm": 0.0004, "folds": 3},
    }


def _ablation_result(
    *, on: dict[str, str], mended: str, best: str, during: float = 0.9, after: float = 0.1
) -> AblationResult:
    """An ablation result whose deep network is ``on[dataset]`` against the plain one, as trained."""
    pairs = [_pair("models", dataset, "deep", "plain", verdict) for dataset, verdict in on.items()]
    pairs.append(_pair("recalibration", PUBLISHED, "deep", "deep, recalibrated", mended))
    pairs.append(_pair("recalibrated networks", PUBLISHED, "deep, recalibrated", "plain", best))
    pairs += [_pair("datasets", "deep", PUBLISHED, dataset, "worse") for dataset in OTHERS]
    accuracies = [
        {
            **{
                "dataset": dataset,
                "model": model,
                "split": "train",
                "bn_statistics": bn_statistics,
                "folds": 3,
                "n": 100,
            },
            **{"mean": mean, "sd": 0.01, "low": mean - 0.05, "high": mean + 0.05},
        }
        for dataset in on
        for model in ("deep", "plain")
        for bn_statistics, mean in (("during_training", during), ("as_trained", after))
    ]
    record = {
        **{"folds": 3, "of_folds": 5, "sizes": {"train": 3200, "test": 1000}, "hardware": "cpu, bf16"},
        "plan": {"question": "Depth?", "models": {"plain": NETWORK, "deep": NETWORK}},
    }
    return AblationResult(Path(), record, accuracies, pairs)


ALL_WORSE = {PUBLISHED: "worse", "pixel": "worse", "detrend": "worse"}
ELSEWHERE_BETTER = {PUBLISHED: "worse", "pixel": "better", "detrend": "equivalent"}


@pytest.mark.parametrize(
    ("on", "mended", "best", "expected"),
    [
        (ALL_WORSE, "equivalent", "worse", "supports the claim"),
        (ELSEWHERE_BETTER, "worse", "better", "contradicts the claim"),
        (ELSEWHERE_BETTER, "worse", "equivalent", "contradicts the claim"),
        ({**ELSEWHERE_BETTER, "pixel": "undecided"}, "worse", "better", "contradicts the claim"),
        ({**ELSEWHERE_BETTER, "pixel": "worse"}, "worse", "better", "no verdict, as it is worse on another scaling"),
        (
            {**ELSEWHERE_BETTER, "pixel": "undecided", "detrend": "undecided"},
            "worse",
            "better",
            "the other scalings dec",
        ),
        (ELSEWHERE_BETTER, "undecided", "better", "decides neither"),
        (ELSEWHERE_BETTER, "worse", "undecided", "decides neither"),
        (ELSEWHERE_BETTER, "better", "worse", "decides neither"),
        (ALL_WORSE, "equivalent", "undecided", "decides neither"),
    ],
)
def test_the_conclusion_follows_from_the_verdicts(on: dict[str, str], mended: str, best: str, expected: str) -> None:
    said = claim.conclusion(_ablation_result(on=on, mended=mended, best=best))
    assert expected in said
    for other in {"supports the claim", "contradicts the claim", "decides neither", "no verdict"} - {expected}:
        assert other not in said or other in expected or expected in ("the other scalings dec",)


def test_opposite_records_say_the_opposite() -> None:
    one, other = (
        claim.sentences(
            _ablation_result(on={PUBLISHED: word, "pixel": word, "detrend": word}, mended=mended, best=word)
        )
        for word, mended in (("worse", "equivalent"), ("better", "worse"))
    )
    assert "deep is worse than plain: 30.0 against 50.0 %" in one[0]
    assert "deep is better than plain: 70.0 against 50.0 %" in other[0]
    assert "(−20.00 points, 95 % interval −30.00 to −10.00, n = 3 folds, Holm p < 0.001)" in one[0]
    assert "it is worse than" not in " ".join(other)
    assert "supports the claim" in one[-1]
    assert "contradicts the claim" in other[-1]


def test_the_gap_between_the_modes_is_called_what_the_intervals_say() -> None:
    texts = [
        " ".join(
            claim.sentences(_ablation_result(on=ALL_WORSE, mended="worse", best="better", during=0.9, after=after))
        )
        for after in (0.1, 0.85)
    ]
    assert "90.0 % (95 % interval 85.0 to 95.0) in training mode" in texts[0]
    assert "their intervals do not meet" in texts[0]
    assert "their intervals meet" in texts[1]


def test_an_undecided_pair_is_not_called_equal() -> None:
    text = claim.said(_pair("models", "pixel", "deep", "plain", "undecided"))
    assert text.startswith("On pixel it is undecided whether deep differs from plain")


def test_the_setting_names_what_was_reduced() -> None:
    text = claim.setting(_ablation_result(on=ALL_WORSE, mended="worse", best="better"))
    assert "3 of 5 folds, 3,200 training and 1,000 test digits, 3 epochs" in text
    assert "learning rate 0.001 (constant)" in text


def test_the_section_shows_what_was_really_run(asked: Path) -> None:
    (asked / "reports").mkdir(exist_ok=True)
    made = section.read(asked, [])
    texts = [block.text for block in made.blocks if block.kind == "prose"]
    assert any(
        "Is it the depth or the scale? 2 of 2 folds, 30 training and 20 test digits, 1 epoch" in text for text in texts
    )
    assert texts[0].startswith("The first study trains")
    assert [name.split("`")[1] for name in made.missing] == [
        "dvc repro ablation_result@cures",
        "dvc repro ablation_result@channels",
        "dvc repro ablation_result@regularisation",
    ]
    pictures = next(block for block in made.blocks if block.kind == "pictures")
    assert len(pictures.images) == 3
    tables = [block for block in made.blocks if block.kind == "table"]
    assert len(tables[0].cells) == 4


def test_the_verdict_of_the_comparison_is_told_at_both_sizes(tmp_path: Path) -> None:
    for folder, verdict in (("reports", "better"), ("reports/full", "equivalent")):
        pair = {**_pair("models", "mechanical", "cnn3", "resnet18", verdict), "repeats": 1}
        write_json(tmp_path / folder / "pairs.json", {"rows": [pair, {**pair, "within": "mnist"}], "refused": None})
    texts = [block.text for block in section.read(tmp_path, []).blocks if block.kind == "prose"]
    assert sum("In the comparison of" in text for text in texts) == 2
    assert texts[1].startswith("In the comparison of this run: On mechanical, cnn3 is better than resnet18")
    assert texts[2].startswith("In the comparison of the full-size run: On mechanical, cnn3 is equivalent to resnet18")

"""Sentences on a claim: each follows from the verdicts and both preconditions, whatever the records say."""

import csv
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from shearbench.errors import InputError
from shearbench.records import write_json
from shearbench.report.blocks import Block, Fold, Section
from shearbench.report.claims import AblationResult, Claim, read_claim, read_claims, sizes_of, verdict_of
from shearbench.report.conclusion import conclusion, shows_the_fall, steps
from shearbench.report.findings import TOO_FEW
from shearbench.report.sections import claim as section

REPOSITORY = Path(__file__).parents[2]
READINGS, OTHERS = ("divided", "none"), ("pixel", "detrend")
NETWORK = {"width": 1.0, "recipe": {"epochs": 3, "learning_rate": 0.001, "schedule": "constant"}}
VERDICTS = ("better", "worse", "equivalent", "undecided")
CLAIM = Claim.model_validate(
    {
        "study": {"label": "the study", "folds": 5, "samples": 60_000},
        "claim": "Depth is fragile.",
        "quotes": [{"text": "stable range", "source": "methods"}],
        "test": {
            **{"ablation": "normalisation", "suspect": "deep", "reference": "plain", "far_above_chance": 0.5},
            **{"readings": {"divided": "divided by 255", "none": "not rescaled"}, "settled_by": "the authors' code"},
            **{"level": 0.8346, "spread": 0.0034, "reference_level": 0.9817, "train_loss": 0.34},
            "comparison": "mechanical",
        },
        "published": [],
    }
)


def _pair(family: str, within: str, a: str, b: str, verdict: str, folds: int = 5) -> dict[str, Any]:
    sign = {"better": 1, "worse": -1}.get(verdict, 0)
    return {
        "family": family,
        "kind": "datasets" if family == "datasets" else "models",
        **{"within": within, "a": a, "b": b, "verdict": verdict, "rule": "a rule"},
        **{"mean_a": 0.5 + 0.2 * sign, "mean_b": 0.5, "difference": 0.2 * sign},
        **{"low": 0.2 * sign - 0.1, "high": 0.2 * sign + 0.1, "p_adjusted": 0.0004, "folds": folds},
    }


def _row(dataset: str, model: str, mean: float, *, sd: float = 0.1, reach: float = 0.05) -> dict[str, Any]:
    row = {"dataset": dataset, "model": model, "split": "test", "bn_statistics": "as_trained", "folds": 5, "n": 100}
    return {**row, "mean": mean, "sd": sd, "low": mean - reach, "high": mean + reach}


def _ablation_result(
    verdicts: dict[str, str],
    *,
    plain: dict[str, float],
    mended: str = "worse",
    last: str = "better",
    folds: int = 5,
    folder: Path = Path("nowhere"),
    **more: Any,
) -> AblationResult:
    """An ablation whose deep network is ``verdicts[dataset]`` against the plain one, which reads ``plain[dataset]``."""
    pairs = [_pair("models", dataset, "deep", "plain", word, folds) for dataset, word in verdicts.items()]
    for dataset in verdicts:
        pairs.append(_pair("recalibration", dataset, "deep", "deep, recalibrated", mended, folds))
        pairs.append(_pair("recalibrated models", dataset, "deep, recalibrated", "plain", last, folds))
    accuracies = [
        _row(dataset, model, mean)
        for dataset in verdicts
        for model, mean in (("deep", 0.44), ("plain", plain.get(dataset, 0.97)))
    ]
    record = {
        **{"folds": folds, "of_folds": 5, "sizes": {"train": 3200, "test": 1000}, "hardware": "cpu, bf16"},
        "plan": {"question": "Depth?", "rope": 0.01, "models": {"plain": NETWORK, "deep": NETWORK}},
        **more,
    }
    return AblationResult(folder, record, accuracies, pairs)


# What the project ran: at full size, and in a default run on fp32 where the deep network does not fall behind.
FULL = {"divided": "undecided", "none": "worse", "pixel": "equivalent", "detrend": "undecided"}
FULL_PLAIN = {"divided": 0.113, "none": 0.842}
FP32 = {"divided": "better", "none": "better", "pixel": "undecided", "detrend": "better"}


def _all(ablation_result: AblationResult) -> list[str]:
    return [*steps(ablation_result, CLAIM.test), *conclusion(ablation_result, CLAIM.test, CLAIM.study)]


def _told(ablation_result: AblationResult) -> str:
    return " ".join(conclusion(ablation_result, CLAIM.test, CLAIM.study))


def test_defect_1_a_fall_is_named_only_where_the_reference_does_not_fail_too() -> None:
    told = _told(_ablation_result(FULL, plain=FULL_PLAIN))
    assert "On divided (divided by 255), plain reaches a test accuracy of 11.3 %" in told
    assert "On divided (divided by 255), deep falls behind" not in told
    assert "On none (not rescaled), deep falls behind plain as trained" in told
    worse = _told(_ablation_result({**FULL, "divided": "worse"}, plain=FULL_PLAIN))
    assert "On divided (divided by 255), deep falls behind" not in worse


@pytest.mark.parametrize("plain", [{"divided": 0.10, "none": 0.33}, {"divided": 0.10, "none": 0.95}])
def test_defect_2_without_a_fall_nothing_is_said_of_the_claim(plain: dict[str, float]) -> None:
    told = _told(_ablation_result(FP32, plain=plain))
    assert "This run does not show the published fall, so it does not test the claim" in told
    assert "batch-norm statistics cause" not in told
    assert "consistent" not in told


def test_defect_3_a_reference_that_does_not_learn_was_not_trained_on_such_inputs() -> None:
    told = _told(_ablation_result(FULL, plain=FULL_PLAIN))
    assert "published 98.17 %. It does not learn here, so these inputs cannot show a fall" in told
    assert "as published" not in " ".join(_all(_ablation_result(FULL, plain=FULL_PLAIN)))


def test_a_reference_with_a_wide_interval_is_not_said_to_have_failed() -> None:
    result = _ablation_result(FULL, plain=FULL_PLAIN)
    wide = [
        {**row, "mean": 0.98, "low": 0.49, "high": 1.0} if row["dataset"] == "divided" else row
        for row in result.accuracies
    ]
    told = _told(AblationResult(result.folder, result.record, wide, result.pairs))
    assert "It is not known well enough here, so these inputs cannot show a fall of deep" in told


def test_one_scaling_on_which_recalibration_mends_it_contradicts_worse_on_every_scaling() -> None:
    result = _ablation_result(dict.fromkeys(FULL, "worse"), plain={}, last="worse")
    assert "with recalibrated batch-norm statistics too: this is consistent" in _told(result)
    pairs = [
        {**pair, "verdict": "better"} if (pair["family"], pair["within"]) == ("recalibrated models", "pixel") else pair
        for pair in result.pairs
    ]
    assert "consistent" not in _told(AblationResult(result.folder, result.record, result.accuracies, pairs))


def test_the_stored_ablations_have_the_families_that_sentences_are_made_of() -> None:
    known = {"models", "recalibration", "recalibrated models", "datasets"}
    for path in sorted((REPOSITORY / "reports" / "full").glob("**/pairs.csv")):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert {row["family"] for row in rows if "family" in row} <= known, path
        for row in rows if "family_size" in rows[0] else ():
            low, high, rope = (float(row[key]) for key in ("low", "high", "rope"))
            word = (
                "equivalent" if -rope <= low and high <= rope else "better" if low > 0 else "worse" if high < 0 else ""
            )
            assert row["verdict"] == (word or "undecided"), (path, row)


def test_defect_4_level_and_spread_are_held_to_the_published_ones() -> None:
    told = _told(_ablation_result(FULL, plain=FULL_PLAIN))
    assert (
        "The level on none differs from the published one: 44.0 % (95 % interval 39.0 to 49.0) against 83.46 %" in told
    )
    assert "The spreads over the folds differ (F test, 5 %): 10.00 against 0.34 percentage points" in told
    ablation_result = _ablation_result(FULL, plain=FULL_PLAIN)
    near = [{**row, "mean": 0.834, "low": 0.83, "high": 0.838, "sd": 0.003} for row in ablation_result.accuracies]
    near = [row if row["model"] == "deep" else old for row, old in zip(near, ablation_result.accuracies, strict=True)]
    told = _told(AblationResult(ablation_result.folder, ablation_result.record, near, ablation_result.pairs))
    assert "The level on none is equivalent to the published one" in told
    assert "The spreads over the folds are not shown to differ" in told


def test_defect_5_the_training_loss_is_held_to_the_published_one() -> None:
    assert "training loss is 0.34; this run did not store ours" in _told(_ablation_result(FULL, plain=FULL_PLAIN))
    stored = _ablation_result(FULL, plain=FULL_PLAIN, train_loss={"none-deep": [0.03, 0.05]})
    assert "training loss is 0.34; ours is 0.04" in _told(stored)


def test_defect_6_three_folds_give_no_verdict() -> None:
    ablation_result = _ablation_result(FULL, plain=FULL_PLAIN, folds=3)
    assert _told(ablation_result) == "No conclusion: this run has 3 folds, and a conclusion needs 5."
    every = " ".join(_all(ablation_result))
    for word in ("is better than", "is worse than", "is equivalent to"):
        assert word not in every
    assert "have no verdict, which needs 5 folds: 30.0 against 50.0 %" in every


@pytest.mark.parametrize("folds", [3, 5])
def test_a_table_of_pairs_says_no_more_than_the_sentences(folds: int, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("family\n")
    ablation_result = _ablation_result(FULL, plain=FULL_PLAIN, folds=folds, folder=tmp_path)
    table = section._verdicts(ablation_result)
    found = [pair["verdict"] for pair in ablation_result.pairs]
    assert {"better", "worse"} <= set(found)
    assert [row[-1].text for row in table.rows] == (found if folds == 5 else ["too few folds"] * len(found))
    assert table.caption.endswith("A verdict needs 5 folds.")


@pytest.mark.parametrize(("lags", "order"), [((1.39, 1.48), "is not the order"), ((1.48, 1.39), "is the order")])
def test_defect_7_the_order_of_lags_and_losses_is_computed(
    lags: tuple[float, float], order: str, tmp_path: Path
) -> None:
    lines = [
        f"{epoch},bn,{lag / 2 * epoch},1,{dataset},deep"
        for epoch in (1, 2)
        for dataset, lag in zip(READINGS, lags, strict=True)
    ]
    (tmp_path / "lags.csv").write_text("\n".join(["epoch,layer,mean,deviation,dataset,model", *lines]) + "\n")
    ablation_result = _ablation_result({"divided": "undecided", "none": "worse"}, plain=FULL_PLAIN, folder=tmp_path)
    losses = {"divided": -0.667, "none": -0.513}
    pairs = [
        {**pair, "difference": losses[pair["within"]]} if pair["family"] == "recalibration" else pair
        for pair in ablation_result.pairs
    ]
    shown = AblationResult(tmp_path, ablation_result.record, ablation_result.accuracies, pairs)
    told = _all(shown)
    assert any(f"this {order} of the gain by recalibration (divided and none)" in text for text in told)


def test_every_ablation_result_says_no_more_than_its_verdicts() -> None:
    seen = set()
    for divided, none, pixel, mended, last in product(VERDICTS, VERDICTS, VERDICTS, ("worse", "equivalent"), VERDICTS):
        for level in (0.11, 0.9):
            ablation_result = _ablation_result(
                {"divided": divided, "none": none, "pixel": pixel},
                plain={"divided": level, "none": 0.9},
                mended=mended,
                last=last,
            )
            fallen = [dataset for dataset in READINGS if shows_the_fall(ablation_result, dataset, CLAIM.test)]
            assert fallen == [
                dataset
                for dataset, verdict, high in (("divided", divided, level > 0.5), ("none", none, True))
                if verdict == "worse" and high
            ]
            told = _told(ablation_result)
            seen.add(
                (bool(fallen), "consistent with the claim" in told, "batch-norm statistics cause the fall" in told)
            )
            assert ("does not test the claim" in told) == (not fallen)
            assert ("consistent with the claim" in told) == bool(
                fallen and (divided, none, pixel, last) == ("worse",) * 4
            )
            if "batch-norm statistics cause the fall" in told:
                assert (mended, last in ("better", "equivalent")) == ("worse", True)
                assert fallen
            if "depth alone does not make it fail" in told:
                assert {"better", "equivalent"} & {divided, none, pixel}
            for word in ("contradicts", "refutes", "proves", "shows that depth"):
                assert word not in told
            if fallen:
                assert "remains open; the authors' code would settle it" in told
    assert seen == {(False, False, False), (True, True, False), (True, False, True), (True, False, False)}


def test_one_scaling_is_not_every_scaling() -> None:
    told = _told(_ablation_result({"none": "worse"}, plain={"none": 0.9}, last="worse"))
    assert "consistent with the claim" not in told
    assert "On none (not rescaled), deep falls behind plain; this run does not decide the cause" in told


def test_an_undecided_pair_is_not_called_equal() -> None:
    text = verdict_of(_pair("models", "pixel", "deep", "plain", "undecided"))
    assert text.startswith("On pixel it is undecided whether deep differs from plain")


def test_the_setting_names_what_was_reduced() -> None:
    text = sizes_of(_ablation_result(FULL, plain=FULL_PLAIN, folds=3))
    assert "3 of 5 folds, 3,200 training and 1,000 test samples, 3 epochs" in text
    assert "learning rate 0.001 (constant)" in text


def test_the_projects_own_claim_is_a_file_and_another_paper_another_one(tmp_path: Path) -> None:
    own = read_claims(REPOSITORY)["mechanical-mnist"]
    assert own.test.level == pytest.approx(0.8346)
    other = {**CLAIM.model_dump(mode="json"), "claim": "Width is fragile."}
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "width.yml").write_text(yaml.safe_dump(other))
    texts = [block.text for block in section.read(tmp_path, []).blocks if block.kind == "prose"]
    assert texts[0].startswith("The study claims: Width is fragile. It reports 98.17 %")


def test_a_paper_without_a_claim_has_its_numbers_beside_ours(tmp_path: Path) -> None:
    number = {"kind": "accuracy", "label": "LeNet-5 on MNIST", "dataset": "mnist", "models": ["cnn2"], "value": 99.05}
    paper = {
        "study": {"label": "LeCun et al. (1998)", "folds": 1, "samples": 60_000},
        "published": [{**number, "source": "figure 9"}],
    }
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "lenet.yaml").write_text(yaml.safe_dump(paper))
    made = section.read(tmp_path, [])
    first, heading, table = made.blocks
    assert first.text == "LeCun et al. (1998): its published numbers stand below, beside ours."
    assert heading.text == "Published against ours: LeCun et al. (1998)"
    assert [cell.text for cell in table.cells[0][:2]] == ["LeNet-5 on MNIST, accuracy (cnn2 here)", "about 99.05 %"]
    assert table.caption == "Ours of this run: mean ± standard deviation over its models."
    assert made.missing == []


def test_a_fault_in_a_claim_names_the_file_and_the_key(tmp_path: Path) -> None:
    document = CLAIM.model_dump(mode="json")
    del document["test"]["level"]
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump({**document, "extra": 1}))
    with pytest.raises(InputError, match=r"paper\.yaml has 2 fault\(s\)[^$]*test\.level: Field required[^$]*extra"):
        read_claim(path)


def test_a_spread_of_a_single_training_is_rejected(tmp_path: Path) -> None:
    document = CLAIM.model_dump(mode="json")
    document["study"]["folds"] = 1
    path = tmp_path / "paper.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(InputError, match=r"paper\.yaml has 1 fault\(s\)[^$]*- test: .*a spread needs study\.folds of"):
        read_claim(path)


@pytest.fixture
def with_claim(asked: Path, tmp_path: Path) -> Path:
    """The results of the small project, with a claim."""
    document = CLAIM.model_dump(mode="json")
    document["test"]["readings"] = {"mechanical_divide255": "divided by 255"}
    (tmp_path / "build").symlink_to(asked / "build")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "study.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def _flat(blocks: Sequence[Block]) -> list[Block]:
    return [inner for each in blocks for inner in (_flat(each.blocks) if isinstance(each, Fold) else [each])]


def test_the_section_shows_what_was_really_run(with_claim: Path) -> None:
    made = section.read(with_claim, [])
    texts = [block.text for block in _flat(made.blocks) if block.kind == "prose"]
    assert any(
        "Is it the depth or the scale? 2 of 2 folds, 30 training and 20 test samples, 1 epoch" in text for text in texts
    )
    assert "No conclusion: this run has 2 folds, and a conclusion needs 5." in texts
    assert (made.title, made.missing) == ("Published claims and ablations", [])
    pictures = next(block for block in _flat(made.blocks) if block.kind == "pictures")
    assert len(pictures.images) == 4
    tables = [block for block in _flat(made.blocks) if block.kind == "table"]
    assert len(tables[0].cells) == 4
    texts = [block.text for block in made.blocks if block.kind == "prose"]
    assert texts[-1].startswith("No conclusion"), "the conclusion is in sight, what it follows from is folded"


def test_a_longer_training_is_judged_on_the_readings_that_it_has(with_claim: Path) -> None:
    path = with_claim / "claims" / "study.yaml"
    document = yaml.safe_load(path.read_text())
    document["test"] |= {"ablation": "absent", "also": ["normalisation"]}
    document["test"]["readings"]["mechanical_none"] = "not rescaled"
    path.write_text(yaml.safe_dump(document))
    made = section.read(with_claim, [])
    heading = next(block.text for block in made.blocks if block.kind == "heading")
    assert heading == "At the size of this run: normalisation"
    test = read_claim(path).test
    assert set(test.on(["mechanical_none", "other"]).readings) == {"mechanical_none"}
    assert len(test.readings) == 2


def test_an_ablation_that_no_claim_names_is_shown_too(with_claim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (with_claim / "claims" / "study.yaml").unlink()
    heading, asked, _, accuracies = _flat(section.read(with_claim, []).blocks)
    assert heading.text == "Ablation normalisation (at the size of this run)"
    assert asked.text.startswith("Is it the depth or the scale? 2 of 2 folds, 30 training and 20 test samples, 1 epoch")
    assert asked.text.count("have no verdict, which needs 5 folds") == 4
    assert len(accuracies.cells) == 4

    monkeypatch.setattr(section, "_MOST_SENTENCES", 3)
    _, asked, verdicts, _ = section.read(with_claim, []).blocks
    assert "verdict" not in asked.text
    assert all(cells[-1].text == TOO_FEW for cells in verdicts.cells)


def test_a_claim_without_its_ablation_names_the_command_and_no_claim_misses_nothing(tmp_path: Path) -> None:
    assert section.read(tmp_path, []) == Section("claim", "Ablations and batch normalisation", [], [])
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "study.yaml").write_text(yaml.safe_dump(CLAIM.model_dump(mode="json")))
    (missing,) = section.read(tmp_path, []).missing
    assert f"`dvc repro ablation_result@{CLAIM.test.ablation}`" in missing


def test_the_verdict_of_the_comparison_is_told_at_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "study.yaml").write_text(yaml.safe_dump(CLAIM.model_dump(mode="json")))
    for folder, verdict in (("reports", "better"), ("reports/full", "equivalent")):
        pair = {**_pair("models", "mechanical", "plain", "deep", verdict), "repeats": 1}
        write_json(tmp_path / folder / "pairs.json", {"rows": [pair, {**pair, "within": "mnist"}], "refused": None})
    texts = [block.text for block in section.read(tmp_path, []).blocks if block.kind == "prose"]
    assert sum("In the comparison of" in text for text in texts) == 2
    assert texts[1].startswith("In the comparison of this run: On mechanical, plain is better than deep")
    assert texts[2].startswith("In the comparison of the full-size run: On mechanical, plain is equivalent to deep")


def test_numbers_of_a_claim_are_those_of_yaml_1_2_and_a_bad_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "paper.yaml"
    text = yaml.safe_dump(CLAIM.model_dump(mode="json"))
    assert "level: 0.8346" in text
    path.write_text(text.replace("level: 0.8346", "level: 8346e-4"))
    assert read_claim(path).test.level == 0.8346
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"paper\.yaml is not valid YAML"):
        read_claim(path)

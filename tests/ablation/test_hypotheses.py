"""Hypotheses: what must stand in params.yaml, and verdicts worked out by hand."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from scipy import stats

from shearbench.ablation.hypotheses import Hypothesis, Observed, hypothesis_faults, runs_of
from shearbench.ablation.judgement import Training, judge, verdict
from shearbench.ablation.output import modes_figure
from shearbench.params import load
from shearbench.report.claims import best_candidate, hypotheses_blocks
from shearbench.stages import ablation, ablation_result
from shearbench.statistics.verdict import equal_spreads_p
from small_project import FIELDS, FOLDS, RECIPE, document, write_data, write_fields

REPOSITORY = Path(__file__).parents[2]
OBSERVED = Observed(
    level=0.83, level_tolerance=0.02, spread=0.01, folds=5, train_loss=0.3, train_loss_factor=2, control=0.9
)
PREDICTED = {"level": [0.8, 0.9], "spread": [0.0, 0.02], "train_loss": [0.1, 0.6], "control": [0.9, 1.0]}


def _hypothesis(**changes: Any) -> Hypothesis:
    given = {"because": "a reason", "dataset": "none", "model": "deep", "control": "plain", "predicts": PREDICTED}
    return Hypothesis.model_validate({**given, **changes})


def _trainings(accuracies: list[float], losses: list[float]) -> list[Training]:
    return [
        Training({"as_trained": accuracy, "recalibrated": 0.95}, loss)
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]


SHALLOW = _trainings([0.93, 0.94, 0.95], [0.1, 0.1, 0.1])


def test_the_interval_of_a_hypothesis_worked_out_by_hand() -> None:
    trained = {("none", "deep"): _trainings([0.82, 0.83, 0.84], [0.29, 0.30, 0.31])}
    found = judge({"it": _hypothesis()}, OBSERVED, trained).loc[0]
    reach = 4.302652729911275 * 0.01 / 3**0.5  # t of 2 degrees of freedom
    assert found["accuracy_low":"accuracy_high"].tolist() == pytest.approx([0.83 - reach, 0.83 + reach])
    assert found["spread"] == pytest.approx(0.01)


@pytest.mark.parametrize(("sd", "rejected"), [(0.01, False), (0.03, False), (0.034, True), (0.0008, True)])
def test_the_f_test_of_spreads(sd: float, rejected: bool) -> None:
    """Three values against five: F(0.975; 2, 4) = 10.65, so a ratio of 3.26 is the bound above."""
    assert (equal_spreads_p((sd, 3), (0.01, 5)) < 0.05) == rejected
    assert stats.f.ppf(0.975, 2, 4) ** 0.5 == pytest.approx(3.263, abs=1e-3)


@pytest.mark.parametrize(
    ("accuracies", "losses", "shallow", "expected"),
    [
        ([0.82, 0.83, 0.84], [0.29, 0.30, 0.31], SHALLOW, "fits"),
        ([0.82, 0.83, 0.84], [0.29, 0.30, 0.31], [], "control not run"),
        ([0.95, 0.96, 0.97], [0.29, 0.30, 0.31], SHALLOW, "misfit: level"),
        ([0.30, 0.50, 0.80], [0.01, 0.02, 0.03], SHALLOW, "misfit: spread, training loss"),
        ([0.82, 0.83, 0.84], [0.9, 0.91, 0.92], [], "misfit: training loss"),
        ([0.82, 0.83, 0.84], [0.29, 0.30, 0.31], _trainings([0.1, 0.1], [2.3, 2.3]), "misfit: control"),
        ([0.83], [0.3], SHALLOW, "not run"),
        ([], [], SHALLOW, "not run"),
    ],
)
def test_the_verdict_names_what_is_missed(
    accuracies: list[float], losses: list[float], shallow: list[Training], expected: str
) -> None:
    trained = {("none", "deep"): _trainings(accuracies, losses), ("none", "plain"): shallow}
    table = judge({"it": _hypothesis()}, OBSERVED, trained)
    assert table.loc[0, "verdict"] == expected


def test_a_hypothesis_that_is_the_same_as_another_takes_its_trainings_and_its_own_statistics() -> None:
    hypotheses = {
        "it": _hypothesis(),
        "tensor": _hypothesis(dataset="other", same_as="it"),
        "mended": _hypothesis(statistics="recalibrated"),
    }
    trained = {("none", "deep"): _trainings([0.82, 0.83, 0.84], [0.3, 0.3, 0.3]), ("none", "plain"): SHALLOW}
    table = judge(hypotheses, OBSERVED, trained).set_index("hypothesis")
    assert table["accuracy"].tolist() == pytest.approx([0.83, 0.83, 0.95])
    assert table["as_predicted"].tolist() == ["yes", "yes", "not level"]
    assert runs_of(hypotheses.values()) == [("none", "deep"), ("none", "plain")]


def test_each_model_is_followed_by_its_control() -> None:
    hypotheses = [_hypothesis(), _hypothesis(model="deeper")]
    assert runs_of(hypotheses) == [("none", "deep"), ("none", "plain"), ("none", "deeper")]


@pytest.mark.parametrize(
    ("changes", "key", "rule"),
    [
        ({"dataset": "nowhere"}, "dataset", "must be one of its datasets; got 'nowhere'"),
        ({"model": "nothing"}, "model", "must be one of its models; got 'nothing'"),
        ({"control": "nothing"}, "control", "must be one of its models; got 'nothing'"),
        ({"same_as": "nobody"}, "same_as", "must be another hypothesis"),
    ],
)
def test_faults_name_the_key_and_the_rule(changes: dict[str, str], key: str, rule: str) -> None:
    faults = list(hypothesis_faults({"it": _hypothesis(**changes)}, OBSERVED, ["none"], ["deep", "plain"]))
    assert len(faults) == 1
    assert faults[0][0] == ("hypotheses", "it", key)
    assert rule in faults[0][1]
    assert not list(hypothesis_faults({"it": _hypothesis()}, OBSERVED, ["none"], ["deep", "plain"]))
    (missing,) = hypothesis_faults({"it": _hypothesis()}, None, ["none"], ["deep", "plain"])
    assert missing[0] == ("observed",)


def test_verdicts_are_of_the_criteria_in_their_order() -> None:
    met = {"level": False, "spread": True, "training loss": False, "control": None}
    assert verdict(met) == "misfit: level, training loss"


def test_the_report_says_no_more_than_the_verdicts() -> None:
    table = pd.DataFrame(
        {"hypothesis": ["a", "b", "c"], "verdict": ["misfit: level", "misfit: level, spread", "not run"]}
    )
    assert best_candidate(table) == (
        "2 of 3 hypotheses have run. None fits all published numbers. The least misfit: a (misfit: level)."
    )
    fits = table.assign(verdict=["fits", "misfit: level", "not run"])
    assert "Consistent with all published numbers: a. This does not show that it happened." in best_candidate(fits)
    assert best_candidate(table.assign(verdict="not run")) == "None of the hypotheses has run."


def test_the_projects_hypotheses_are_at_least_thirty_and_whole() -> None:
    own = load(REPOSITORY / "profiles" / "hypotheses.yaml").ablations["hypotheses"]
    assert len(own.hypotheses) >= 30
    assert own.train_on == "fold"
    assert {one.control for one in own.hypotheses.values()} <= own.models.keys()


def test_an_ablation_is_judged_by_what_is_finished(tmp_path: Path) -> None:
    model = {"width": 0.1, "options": {}, "recipe": {**RECIPE, "epochs": 1}}
    asked = {
        **{"question": "How?", "folds": FOLDS, "rope": 0.01, "diagnose": True, "train_on": "fold"},
        "datasets": {"none": {**FIELDS, "normalise": "none"}},
        "models": {
            "deep": {**model, "architecture": "resnet18"},
            **{key: {**model, "architecture": "mlp"} for key in ("plain", "wide")},
        },
        "observed": OBSERVED.model_dump(),
        "hypotheses": {
            "it": _hypothesis().model_dump(mode="json"),
            "later": _hypothesis(model="wide").model_dump(mode="json"),
        },
    }
    whole = document() | {"ablations": {"rivals": asked}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    params = load(tmp_path / "params.yaml")
    write_data(tmp_path)
    write_fields(tmp_path)
    ablation.main(params, tmp_path, "rivals")
    shutil.rmtree(tmp_path / "build" / "ablations" / "rivals" / "none" / "wide")
    ablation_result.main(params, tmp_path, "rivals")
    out = tmp_path / "build" / "ablation_results" / "rivals"
    table = pd.read_csv(out / "hypotheses.csv").set_index("hypothesis")
    folds, modes = pd.read_csv(out / "folds.csv"), pd.read_csv(out / "modes.csv")
    own = folds[(folds["model"] == "deep") & (folds["bn_statistics"] == "as_trained")]
    assert table.loc["it", "accuracy"] == pytest.approx(own["accuracy"].mean())
    assert table.loc["it", "trainings"] == FOLDS
    assert set(modes["model"]) == {"deep"}
    assert list(modes.columns[:5]) == ["epoch", "samples", "as_trained", "batch_statistics", "recalibrated"]
    assert len(modes_figure("title", modes).axes) == 1
    _, said, folded = hypotheses_blocks(out, "Here")
    drawn = folded.blocks[0]
    assert "None fits" in said.text or "Consistent" in said.text
    shown = {row[0].text: dict(zip([each.title for each in drawn.columns], row, strict=True)) for row in drawn.rows}
    low, high = table.loc["it", "predicted_level"].split(" to ")
    assert shown["it"]["level, %"].text.startswith(f"{100 * table.loc['it', 'accuracy']:.1f} (")
    assert shown["it"]["level, %"].note == f"{100 * float(low):g} to {100 * float(high):g}"

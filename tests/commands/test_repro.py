"""One bar for all stages: what it expects, what it says, and what a failure shows."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from shearbench.commands import init, repro
from shearbench.data import idx, raw
from shearbench.errors import InputError

DVC_YAML = """
stages:
  code: {cmd: "true", always_changed: true}
  train:
    foreach: ${runs}
    do: {cmd: "true"}
  report: {cmd: "true"}
"""
PARAMS = """
runs: {a: {dataset: digits, model: net}, b: {dataset: digits, model: svm}}
datasets: {digits: {source: mnist}}
models: {net: {recipe: {epochs: 7}}, svm: {}}
cv: {folds: 5, repeats: 1}
"""
DVC = """#!/bin/sh
echo "Running stage 'code':"
echo "> shearbench stage code"
echo "Stage 'train@a' didn't change, skipping"
echo "Running stage 'train@b':"
echo "b fold 0: 0.9"
echo "Running stage 'report':"
echo "the reason" >&2
exit STATUS
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of four stages whose DVC is a script."""
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text(PARAMS)
    _data(tmp_path, count=4000, size=(28, 28))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def _data(project: Path, *, count: int, size: tuple[int, int], source: str = "mnist") -> None:
    (project / "data" / source).mkdir(parents=True, exist_ok=True)
    facts = {"classes": ["0", "1"], "size": size, "counts": {"train": count, "test": 10}}
    (project / "data" / source / raw.CLASSES).write_text(json.dumps(facts))


SHEARBENCH = """#!/bin/sh
trap 'echo ended >> "$2"; exit 0' TERM
echo "$1 $2" > "$2"
echo "$2" > "$2-begun"
while :; do sleep 0.05; done
"""
STAGES_BESIDE = """#!/bin/sh
begin() { echo "Running stage '$1':"; sleep 0.3; }
until_() { while ! grep -q "$1" "$2" 2> /dev/null; do sleep 0.05; done; }
begin simulate
test ! -e ablations || exit 4
begin train@a
until_ ablations ablations-begun
test ! -e tracking || exit 5
begin ablation@size
until_ ended ablations
until_ tracking tracking-begun
begin ablation@channels
begin evaluate@a
begin track
until_ ended tracking
begin ablation_result@size
"""
STAGES_THAT_FAIL = """#!/bin/sh
echo "Running stage 'train@a':"
while [ ! -e ablations-begun ]; do sleep 0.05; done
exit 3
"""


def _with_dvc(project: Path, status: int) -> None:
    _program(project, "dvc", DVC.replace("STATUS", str(status)))
    _program(project, "shearbench", SHEARBENCH)


def _program(project: Path, name: str, script: str) -> None:
    path = project / "bin" / name
    path.write_text(script)
    path.chmod(0o755)


def test_each_stage_that_ran_has_a_line_and_its_seconds_are_kept(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_dvc(project, 0)
    assert repro.main(project) == 0
    said = [line.split()[0] for line in capsys.readouterr().err.splitlines() if " s  " in line]
    assert said == ["code", "train@b", "report"]
    assert set(json.loads((project / repro.SECONDS).read_text())) == {"code", "train@b", "report"}
    assert "b fold 0: 0.9" in (project / repro.LOG).read_text()


def test_both_logs_start_anew(project: Path) -> None:
    _with_dvc(project, 0)
    (project / "build").mkdir()
    for log in (repro.LOG, repro.BESIDE_LOG):
        (project / log).write_text("of an earlier run\n")
    assert repro.main(project) == 0
    assert not any("earlier" in (project / log).read_text() for log in (repro.LOG, repro.BESIDE_LOG))


def test_a_failure_ends_with_what_its_stage_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _with_dvc(project, 3)
    assert repro.main(project) == 3
    said = capsys.readouterr().err
    assert "the reason" in said
    assert "b fold 0" not in said
    assert "repro.log" in said
    assert "done" not in said
    assert "report" not in json.loads((project / repro.SECONDS).read_text()), "it failed, so its time says nothing"


def test_ablations_and_tracking_run_beside_stages_until_their_own_begin(project: Path) -> None:
    _program(project, "dvc", STAGES_BESIDE)
    _program(project, "shearbench", SHEARBENCH)
    assert repro.main(project) == 0
    for task in ("ablations", "tracking"):  # begun once, and not again after their own stages
        assert (project / task).read_text() == f"beside {task}\nended\n"


def test_the_process_beside_the_stages_ends_with_a_failed_run(project: Path) -> None:
    _program(project, "dvc", STAGES_THAT_FAIL)
    _program(project, "shearbench", SHEARBENCH)
    assert repro.main(project) == 3
    assert (project / "ablations").read_text() == "beside ablations\nended\n"


def test_the_time_left_follows_the_pace_of_the_machine() -> None:
    plan = repro.Plan({"a": 20.0, "b": 30.0, "c": 50.0})
    assert plan.seconds_left(0.0) == 100
    plan.begin("a", 0.0)
    assert plan.seconds_left(5.0) == 95
    plan.begin("b", 50.0)  # (50 + 10) / (20 + 10): twice as slow as expected
    assert plan.seconds_left(50.0) == 160
    assert plan.seconds_left(60.0) == 150
    assert plan.share_done(60.0) == pytest.approx(60 / 210)
    plan.expected.pop("c")
    plan.end(110.0)
    assert plan.seconds_left(110.0) == 0
    assert plan.share_done(110.0) == 1


def test_a_stage_takes_the_pace_of_its_kind_and_tiny_stages_decide_little() -> None:
    plan = repro.Plan({"prepare": 2.0, "train@a": 14.0, "train@b": 14.0, "report": 8.0})
    plan.begin("prepare", 0.0)
    plan.begin("train@a", 0.0)  # in no time, and 10 / 12 of what was expected for the rest
    assert plan.seconds_left(0.0) == pytest.approx(36 * 10 / 12)
    plan.begin("train@b", 62.0)  # (62 + 10) / (14 + 10) = 3
    assert plan.seconds_left(62.0) == pytest.approx(14 * 3 + 8 * (62 + 10) / (2 + 14 + 10))


def test_a_stage_that_was_measured_is_expected_to_take_that_again(project: Path) -> None:
    assert list(repro._expected(project)) == ["code", "train@a", "train@b", "report"]
    (project / "build").mkdir()
    (project / repro.SECONDS).write_text('{"train@b": 7.5}')
    assert repro._expected(project)["train@b"] == 7.5
    assert repro._expected(project)["train@a"] == repro._SECONDS["train"]


def test_a_training_without_a_measured_duration_is_expected_by_epochs_samples_and_pixels(project: Path) -> None:
    """The first time left of a project of own pictures was that of the digits: seconds instead of minutes."""
    before = repro._expected(project)
    assert before["train@b"] < before["train@a"], "a classifier is fitted once"
    _data(project, count=4000, size=(64, 64))
    larger = (64 / 28) ** 2
    assert repro._expected(project)["train@a"] == pytest.approx(before["train@a"] * larger)
    assert repro._expected(project)["report"] == before["report"]
    params = project / "params.yaml"
    params.write_text(PARAMS.replace("epochs: 7", "epochs: 14").replace("repeats: 1", "repeats: 3"))
    assert repro._expected(project)["train@a"] == pytest.approx(before["train@a"] * larger * 2 * 3)
    params.write_text(PARAMS.replace("folds: 5, repeats: 1", "design: disjoint, sets: 8"))
    assert repro._expected(project)["train@a"] == pytest.approx(before["train@a"] * larger / 4), "one pass, not four"


def test_a_project_of_own_pictures_is_expected_to_take_minutes_before_its_first_training(tmp_path: Path) -> None:
    """5,000 pictures of 64 pixels take 3 min 52 s (README). Stages without work, as simulate, do not set the pace."""
    found = init.Found("pictures", "pictures: {kind: folder, path: elsewhere}", 5000, 3, 64, 800)
    (tmp_path / "params.yaml").write_text(init._params(found))
    (tmp_path / "dvc.yaml").write_text(init._pipeline())
    _data(tmp_path, count=4000, size=(64, 64), source="pictures")
    plan, now = repro.Plan(repro._expected(tmp_path)), 0.0
    before = ("code", "prepare", "simulate", "datasets", "severity", "explore@pictures", "training_configs")
    for stage in before:
        plan.begin(stage, now)
        now += 1 if stage in ("simulate", "severity") else repro._SECONDS[stage.partition("@")[0]]
    plan.begin("train@pictures-svm", now)
    assert 120 < plan.seconds_left(now) < 360


def test_the_digits_of_the_default_run_are_expected_to_take_their_seconds(project: Path) -> None:
    facts = project / "data" / "mnist" / raw.CLASSES
    facts.unlink()
    (facts.parent / "train-images-idx3-ubyte").write_bytes(idx.encode(np.zeros((4000, 28, 28), np.uint8)))
    assert repro._expected(project)["train@a"] == repro._SECONDS["train"]
    params = project / "params.yaml"
    params.write_text(PARAMS.replace("model: svm", "model: svn"))
    with pytest.raises(InputError, match=r"cannot be used \('svn'\); `shearbench check` lists its faults"):
        repro._expected(project)
    params.write_text(PARAMS)
    shutil.rmtree(facts.parent)
    with pytest.raises(InputError, match="mnist is missing; run `shearbench data`"):
        repro._expected(project)

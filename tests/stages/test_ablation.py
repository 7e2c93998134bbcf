"""Stage ablation: all networks of a question on all its datasets, without the test set, from the ingredients."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.data.config import ImageDataset
from shearbench.data.dataset import load
from shearbench.params import Ablation, Network, Params
from shearbench.pipeline.inputs import inputs_of
from shearbench.records import read_record
from shearbench.stages import ablation, prepare
from shearbench.training import crossval
from shearbench.training.recipe import Recipe

RECIPE = Recipe(epochs=1, batch=10, learning_rate=0.01, weight_decay=0.0)


@pytest.fixture
def asked(params: Params) -> Params:
    planned = Ablation(
        question="Do two channels help?",
        folds=2,
        rope=0.01,
        diagnose=True,
        datasets={
            "one": ImageDataset(source="mnist", channels=1, normalise="unit"),
            "two": ImageDataset(source="mnist", channels=2, normalise="unit"),
            "scaled": ImageDataset(source="mnist", channels=2, normalise="channel"),
        },
        models={
            "narrow": Network(architecture="mlp", width=0.05, options={}, recipe=RECIPE),
            "wide": Network(architecture="mlp", width=0.1, options={}, recipe=RECIPE),
        },
    )
    return params.model_copy(update={"ablations": {"channels": planned}})


@pytest.fixture
def trained(asked: Params, small_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def in_this_process(function: Any, tasks: list[Any], **rest: Any) -> None:
        for task in tasks:
            function(task, lambda units: None)

    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    prepare.main(asked, small_project)
    (small_project / "build" / "samples" / "test" / "mnist.npz").unlink()  # it must not miss it
    ablation.main(asked, small_project, "channels")
    return small_project / "build" / "ablations" / "channels"


def test_every_network_is_trained_on_every_dataset_on_the_first_folds(trained: Path) -> None:
    records = [read_record(path.parent) for path in trained.glob("*/*/*/record.json")]
    runs = {(record["dataset"], record["model"], record["fold"]) for record in records}
    assert runs == {(d, m, f) for d in ("one", "two", "scaled") for m in ("narrow", "wide") for f in (0, 1)}
    assert all(record["config"]["diagnose"] for record in records)
    assert not (trained.parents[1] / "scratch" / "channels").exists()


def test_a_training_ahead_of_the_stage_gives_the_same_predictions_and_the_stage_trains_nothing(
    asked: Params, trained: Path, small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predictions() -> dict[str, bytes]:
        return {str(path.relative_to(trained)): path.read_bytes() for path in trained.rglob("*.npz")}

    of_the_stage = predictions()
    assert of_the_stage
    shutil.rmtree(trained)
    ablation.ahead(asked, small_project)
    assert predictions() == of_the_stage
    assert not (trained.parents[1] / "scratch" / "ahead").exists()
    monkeypatch.setattr(crossval, "train_fold", lambda task, advance: pytest.fail(f"{task.out} is trained again"))
    ablation.main(asked, small_project, "channels")


def test_the_summary_has_a_line_a_run(
    asked: Params, trained: Path, small_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ablation.main(asked, small_project, "channels")
    lines = capsys.readouterr().out.splitlines()
    assert sum("over 2 folds" in line for line in lines) == 6


def test_what_the_question_no_longer_has_is_removed_and_the_rest_is_kept(
    asked: Params, trained: Path, small_project: Path
) -> None:
    kept = (trained / "one" / "narrow" / "fold-0" / "record.json").stat().st_mtime_ns
    planned = asked.ablations["channels"]
    fewer = planned.model_copy(
        update={
            "datasets": {"one": planned.datasets["one"]},
            "models": {"narrow": planned.models["narrow"]},
        }
    )
    ablation.main(asked.model_copy(update={"ablations": {"channels": fewer}}), small_project, "channels")
    assert [path.name for path in trained.iterdir()] == ["one"]
    assert [path.name for path in (trained / "one").iterdir()] == ["narrow"]
    assert (trained / "one" / "narrow" / "fold-0" / "record.json").stat().st_mtime_ns == kept


def test_inputs_that_differ_in_normalisation_alone_are_written_once(asked: Params, small_project: Path) -> None:
    prepare.main(asked, small_project)
    build = small_project / "build"
    with inputs_of("channels", asked.ablations["channels"], build, ("train",)) as inputs:
        assert inputs["two"] == inputs["scaled"] != inputs["one"]
        one, two = (load(inputs[name], "train").inputs for name in ("one", "two"))
        np.testing.assert_array_equal(np.repeat(one, 2, axis=1), two)
        assert not (inputs["one"] / "test.npz").exists()
    assert not inputs["one"].exists()


def test_a_training_that_another_ablation_has_done_is_copied_and_any_other_is_trained(
    asked: Params, trained: Path, small_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def in_this_process(function: Any, tasks: list[Any], **rest: Any) -> None:
        for task in tasks:
            done.append(str(task.out.relative_to(trained.parent)))
            function(task, lambda units: None)

    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    planned = asked.ablations["channels"]
    faster = Network(architecture="mlp", width=0.1, options={}, recipe=RECIPE.model_copy(update={"learning_rate": 0.1}))
    again = planned.model_copy(
        update={
            "datasets": {"one": planned.datasets["one"]},
            "models": {"narrow": planned.models["narrow"], "wide": faster},
        }
    )
    both = asked.model_copy(update={"ablations": {"channels": planned, "again": again}})
    ablation.main(both, small_project, "again")
    assert done == ["again/one/wide/fold-0", "again/one/wide/fold-1"], "the same name is not enough"
    for fold in ("fold-0", "fold-1"):
        first, second = (trained.parent / name / "one" / "narrow" / fold for name in ("channels", "again"))
        assert {path.name: path.read_bytes() for path in first.iterdir()} == {
            path.name: path.read_bytes() for path in second.iterdir()
        }
    assert not list((trained.parent / "again").rglob("*.partial"))

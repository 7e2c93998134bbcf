"""An input that changes while a stage runs is never locked as what the stage was made with."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from shearbench import code, stages
from shearbench.errors import InputError
from shearbench.params import load
from shearbench.pipeline.dvc import state, unchanged_inputs
from shearbench.records import is_finished
from shearbench.stages import code as code_stage
from shearbench.stages import train

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def project(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small project with the pipeline and the code of this one, and a network of the user's own."""
    shutil.copy(REPOSITORY / "dvc.yaml", finished)
    shutil.copytree(REPOSITORY / "src", finished / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (finished / "networks").mkdir()
    (finished / "networks/mine.py").write_text("from blocks import size\nclass Net: ...")
    (finished / "networks/blocks.py").write_text("size = 1")
    monkeypatch.setattr(code, "PACKAGE", finished / "src/shearbench")
    monkeypatch.chdir(finished)
    edit_params(finished, lambda it: it["models"]["mlp"].update(architecture="mine.Net"))
    return finished


def edit_params(root: Path, change: Callable[[dict], object]) -> None:
    document = yaml.safe_load((root / "params.yaml").read_text())
    change(document)
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def touch_later(path: Path) -> None:
    path.write_bytes(path.read_bytes())
    os.utime(path, (1, 1))


EDITS = {
    "a parameter": (
        lambda root: edit_params(root, lambda it: it["models"]["mlp"]["recipe"].update(epochs=9)),
        r"params.yaml: models\.mlp(,|\.)",
    ),
    "a source file": (
        lambda root: (root / "src/shearbench/training/loop.py").write_text("# other code"),
        r"code: shearbench/training/loop.py",
    ),
    "a network of the user's": (
        lambda root: (root / "networks/mine.py").write_text("from blocks import size\nclass Net: a = 1"),
        r"code: mine.py",
    ),
    "its helper": (lambda root: (root / "networks/blocks.py").write_text("size = 2"), r"code: blocks.py"),
    "the data": (lambda root: touch_later(root / "build/datasets/mnist/train.npz"), r"build/datasets/mnist/train.npz"),
    "the folds, removed": (
        lambda root: (root / "build/datasets/mnist/folds.npz").unlink(),
        r"build/datasets/mnist/folds.npz",
    ),
    "parameters that are no YAML": (lambda root: (root / "params.yaml").write_text("{"), r"not valid YAML"),
}


@pytest.mark.parametrize(("edit", "named"), EDITS.values(), ids=EDITS)
def test_an_edit_while_a_stage_runs_is_refused(project: Path, edit: Callable[[Path], object], named: str) -> None:
    with pytest.raises(InputError, match=named), unchanged_inputs(project, "train", "mnist-mlp"):
        edit(project)


def test_what_a_stage_does_not_read_may_change(project: Path) -> None:
    def others(document: dict) -> None:
        document["models"]["cnn2"]["recipe"] = {**document["models"]["cnn2"]["recipe"], "epochs": 9}
        document["tracking"]["uri"] = "off"

    with unchanged_inputs(project, "train", "mnist-mlp"):
        edit_params(project, others)
        (project / "src/shearbench/report/page.py").write_text("# other code")
        (project / "build/datasets/mechanical/train.npz").unlink()


def test_every_stage_of_the_pipeline_has_inputs_to_watch(project: Path) -> None:
    shutil.copy(REPOSITORY / "params.yaml", project)  # the small project has no ablation
    entries = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    one_of_each = {"runs": "mnist-mlp", "datasets": "mnist", "ablations": "normalisation"}
    for name, entry in entries.items():
        if name == "code":
            continue
        found = state(project, name, one_of_each[entry["foreach"].strip("${}")] if "foreach" in entry else None)
        locked = name != "track"  # its only parameter, `tracking.uri`, may have a password: `code` compares it
        assert any(key.startswith("params.yaml: ") for key in found) is locked, name
        assert any(key.startswith("code: ") for key in found), name
        assert not [key for key in found if "${" in key], name


def test_a_stage_whose_parameters_are_edited_meanwhile_fails_and_keeps_what_its_record_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trains(params, root, run):
        edit_params(root, lambda it: it["models"]["mlp"]["recipe"].update(epochs=9))

    monkeypatch.setattr(train, "main", trains)
    params = load(project / "params.yaml")
    with pytest.raises(InputError, match=r"stage train@mnist-mlp is refused.*params\.yaml: models\.mlp\. Run"):
        stages.run("train", "mnist-mlp", read=lambda: params, root=project)
    assert is_finished(project / "build/runs/mnist/mlp/fold-0")


def test_code_that_was_edited_before_its_stage_began_is_refused_under_dvc(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC locks the code that the stage ``code`` noted at the beginning; what runs is what is there now."""
    code_stage.main(project)
    (project / "src/shearbench/training/loop.py").write_text("# other code\nx = 1")
    with unchanged_inputs(project, "train", "mnist-mlp"):
        pass  # by hand: nothing is locked
    monkeypatch.setenv("DVC_STAGE", "train@mnist-mlp")
    with (
        pytest.raises(InputError, match=r"code: shearbench/training/loop\.py"),
        unchanged_inputs(project, "train", "mnist-mlp"),
    ):
        pass

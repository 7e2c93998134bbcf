"""Stage train: a run of params.yaml becomes records, without its test set."""

from pathlib import Path
from typing import Any

import pytest

from shearbench.data.config import ImageDataset, SimulatedDataset
from shearbench.execution.settings import Execution
from shearbench.params import Params
from shearbench.pipeline.configs import config_of
from shearbench.records import read_record
from shearbench.stages import datasets, prepare, train, training_configs
from shearbench.training import crossval


def test_a_run_becomes_a_record_a_fold_and_a_line_a_fold(
    small_project: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(function: Any, tasks: list[Any], **rest: Any) -> None:
        for task in tasks:
            function(task, lambda units: None)

    images = {"mnist": ImageDataset(source="mnist", channels=1, normalise="unit")}
    model = params.models["cnn2"]
    small = model.model_copy(update={"width": 0.1, "recipe": model.recipe.model_copy(update={"epochs": 1})})
    params = params.model_copy(update={"datasets": images, "models": {**params.models, "cnn2": small}})
    prepare.main(params, small_project)
    datasets.main(params, small_project)
    (small_project / "build" / "datasets" / "mnist" / "test.npz").unlink()  # train must not miss it
    training_configs.main(params, small_project)
    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    train.main(params, small_project, "mnist-cnn2")
    runs = small_project / "build" / "runs" / "mnist" / "cnn2"
    records = [read_record(runs / f"fold-{fold}") for fold in range(params.cv.folds)]
    assert [record["fold"] for record in records] == list(range(params.cv.folds))
    assert {record["config"]["width"] for record in records} == {0.1}
    lines = capsys.readouterr().out.splitlines()
    for record, line in zip(records, lines, strict=False):
        assert f"mnist-cnn2 fold {record['fold']}: {record['metrics']['validation_accuracy']:.4f}" in line
    assert f"over {params.cv.folds} folds" in lines[-1]


def test_fields_are_not_augmented_and_images_are(params: Params) -> None:
    model = params.models["cnn2"]
    augmented = model.model_copy(update={"recipe": model.recipe.model_copy(update={"augment": "affine"})})
    params = params.model_copy(
        update={
            "datasets": {
                "images": ImageDataset(source="mnist", channels=1, normalise="unit"),
                "fields": SimulatedDataset(source="simulated", load="shear", step=5, normalise="pixel"),
            },
            "models": {"cnn2": augmented},
        }
    )
    kinds = {name: config_of(params, dataset=name, model="cnn2") for name in ("images", "fields")}
    assert {name: config.recipe.augment for name, config in kinds.items()} == {
        "images": "affine",
        "fields": "none",
    }


def test_device_and_precision_are_settled(params: Params) -> None:
    execution = Execution(workers="auto", device="cpu", precision="auto")
    config = config_of(params.model_copy(update={"execution": execution}), dataset="mnist", model="cnn2")
    assert config.device == "cpu"
    assert config.precision in ("fp32", "bf16")

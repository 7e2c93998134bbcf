"""``tuned/<model>.yaml``: what is written is read, sections stay, faults are named; and what a run is trained with."""

import re
from dataclasses import replace

import numpy as np
import pytest

from patterns import point
from shearbench.data.folds import write_part
from shearbench.errors import InputError
from shearbench.records import read_json
from shearbench.stages import training_configs, tune
from shearbench.tuning.results import plan
from shearbench.tuning.tuned import (
    RunConfig,
    Tuned,
    config_path,
    read_run_config,
    read_tuned,
    tuned_path,
    write_tuned,
)

FOUND = point(0.00123, 64, 0.5)


def _tuned(found=FOUND):
    hyperparameters = found
    search = {"trials": 18, "complete": 2, "stopped_early": 15, "failed": 1, "epochs": 100}
    return Tuned(
        hyperparameters=hyperparameters,
        present=point(1e-3, 100, 1.0),
        epochs=8,
        difference=None,
        finalists=(
            {
                "trial": 3,
                "hyperparameters": hyperparameters,
                "accuracy": 0.9,
                "sd": 0.01,
                "parameters": 7,
                "seconds": 1.0,
            },
        ),
        search={**search, "folds": 3, "samples_scored": 800, "seed": 42},
        reserved={"samples": 1200, "ids": "a" * 64, "data": "b" * 64},
    )


def test_what_is_written_is_read_and_sections_of_other_datasets_stay(tmp_path):
    path = tuned_path(tmp_path, "cnn2")
    write_tuned(tmp_path, "cnn2", "mnist", _tuned())
    first = path.read_text()
    write_tuned(tmp_path, "cnn2", "mechanical", _tuned(point(1e-5, 32, 2.0)))
    found = read_tuned(path)
    assert found == {"mnist": _tuned(), "mechanical": _tuned(point(1e-5, 32, 2.0))}
    assert first.splitlines()[1:] == path.read_text().splitlines()[-len(first.splitlines()) + 1 :]
    assert read_tuned(tmp_path / "tuned" / "mlp.yaml") == {}


def test_a_fault_made_by_hand_is_named(tmp_path):
    path = tuned_path(tmp_path, "cnn2")
    write_tuned(tmp_path, "cnn2", "mnist", _tuned())
    path.write_text(path.read_text().replace("batch: 64", "batch: 1").replace("epochs: 8", "epoks: 8"))
    with pytest.raises(
        InputError, match=r"(?s)4 fault\(s\).*mnist\.hyperparameters: .*batch.*mnist\.epochs.*mnist\.epoks"
    ):
        read_tuned(path)
    path.write_text("- 1")
    with pytest.raises(InputError, match="must hold a mapping"):
        read_tuned(path)
    path.write_text("{")
    with pytest.raises(InputError, match="not valid YAML"):
        read_tuned(path)


def _using(params, use_tuned):
    return params.model_copy(update={"training": params.training.model_copy(update={"use_tuned": use_tuned})})


def test_by_default_no_run_is_tuned_whatever_was_found(small_params, tmp_path):
    write_tuned(tmp_path, "cnn2", "mnist", _tuned())
    training_configs.main(small_params, tmp_path)
    for run in small_params.runs.values():
        assert read_run_config(config_path(tmp_path, run.dataset, run.model)) == RunConfig()


def test_runs_of_named_models_are_tuned_and_the_others_not(small_params, tmp_path):
    write_tuned(tmp_path, "cnn2", "mnist", _tuned())
    training_configs.main(_using(small_params, ("cnn2",)), tmp_path)
    found = read_run_config(config_path(tmp_path, "mnist", "cnn2"))
    assert found.tuned == FOUND
    assert found.reserved == _tuned().reserved
    assert read_run_config(config_path(tmp_path, "mnist", "mlp")) == RunConfig()


def test_a_run_that_was_not_tuned_is_not_silently_trained_as_before(small_params, tmp_path):
    write_tuned(tmp_path, "mlp", "mnist", _tuned())
    with pytest.raises(InputError, match=r"cnn2\.yaml has none for mnist; run `shearbench tune cnn2 --dataset mnist`"):
        training_configs.main(_using(small_params, True), tmp_path)


def test_all_means_the_models_that_can_be_searched(small_params):
    unsearchable = small_params.models["mlp"].model_copy(update={"search": None})
    training = _using(small_params, True).training
    assert training.uses_tuned("cnn2", small_params.models["cnn2"])
    assert not training.uses_tuned("mlp", unsearchable)


def test_settings_that_are_missing_are_an_error(tmp_path):
    with pytest.raises(InputError, match="run `dvc repro training_configs`"):
        read_run_config(tmp_path / "cnn2.yaml")


@pytest.mark.parametrize("same_recipe", [True, False])
@pytest.mark.parametrize(("trials", "refused"), [(9, True), (18, False)])
def test_a_larger_search_is_replaced_only_where_that_is_asked_for(
    small_params, tmp_path, monkeypatch, capsys, trials, refused, same_recipe
):
    """The command ends before its search begins; the plan is that of the small project: 2 epochs, 2 workers' folds."""

    class _BegunError(Exception):
        pass

    def begun(job):
        raise _BegunError

    monkeypatch.setattr(tune, "run", begun)
    recipe, width = small_params.models["mlp"].recipe, small_params.models["mlp"].width
    present = point(recipe.learning_rate, recipe.batch, width)
    before = _tuned().model_copy(update={"epochs": recipe.epochs + (not same_recipe), "present": present})
    before = before.model_copy(
        update={"finalists": (before.finalists[0].model_copy(update={"hyperparameters": present}),)}
    )
    write_tuned(tmp_path, "mlp", "mnist", before)
    if refused:
        with pytest.raises(InputError, match=r"mlp\.yaml has a search of 18 trials .*; this one has 9 .*--replace"):
            tune.main(small_params, tmp_path, "mlp", dataset="mnist", trials=trials)
    with pytest.raises(_BegunError):
        tune.main(small_params, tmp_path, "mlp", dataset="mnist", trials=trials, replacing=refused)
    said = " ".join(capsys.readouterr().err.split())
    # a bracket: 9 trials to epoch 1 and 1 to epoch 2, so 10 epochs; then 3 + 1 and 4 other widths, 5 folds, 2 epochs
    epochs = trials // 9 * 10 + (3 + 1 + 4) * 5 * 2
    assert f"mnist-mlp: {trials} trials of up to 2 epochs, compared after 1, 2;" in said
    time = f"about {epochs / 2:.0f} s of one core" if same_recipe else "the time left is shown after the first rung"
    assert f"At most {epochs} epochs: {time}" in said


def test_the_plan_takes_its_time_from_the_folds_of_the_run_without_an_earlier_search(finished, small_params):
    part = finished / "build" / "datasets" / "mnist" / "tuning_part.npz"
    write_part(part, np.arange(24))
    job = tune.job_of(small_params, finished, dataset="mnist", model="mlp")
    said = re.search(
        r"At most (\d+) epochs: about (\d+) (s|min) of one core with the present hyperparameters", plan(job, None)
    )
    folders = sorted((finished / "build" / "runs" / "mnist" / "mlp").glob("fold-*"))
    records = [read_json(folder / "record.json") for folder in folders]
    of_a_sample = [each["seconds"] / each["epochs"] / each["sizes"]["train"] for each in records]
    seconds = int(said[1]) * np.mean(of_a_sample) * 24 * (1 - 1 / job.resources.folds)
    assert int(said[2]) == round(seconds if said[3] == "s" else seconds / 60)
    slower = replace(job, config=job.config.varied({"learning_rate": 0.5}))
    assert "the time left is shown after the first rung" in plan(slower, None)


def test_the_plan_says_that_trials_are_rounded_up(small_params, tmp_path):
    job = tune.job_of(small_params, tmp_path, dataset="mnist", model="mlp")
    asked = replace(job, resources=job.resources.model_copy(update={"trials": 4}))
    assert "9 trials (4 rounded up to whole brackets) of up to 2 epochs" in plan(asked, None)

"""The whole pipeline, small, in a temporary clone: ``shearbench repro`` with the real DVC and MLflow.

It runs twice: the second time does nothing; after a change to one model's recipe, exactly that model's stages and what
follows run again.
"""

import csv
import json
import re
import sqlite3

import numpy as np
import pytest
import yaml

from small_clone import RUNS, make_clone, repro, run


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a clone")  # with a space in its name, as users have
    make_clone(folder, tmp_path_factory.mktemp("samples"))
    refused = run(folder, "shearbench", "data", status=2)
    assert "--adopt" in refused
    run(folder, "shearbench", "data", "--adopt")
    return folder


def _stages_run(output):
    """Return the stages that ran, but for `code`, which always does, and `track`, which sends what is new."""
    return set(re.findall(r"Running stage '([^']+)'", output)) - {"code", "track"}


@pytest.fixture(scope="module")
def first_run(clone):
    return repro(clone)


def test_every_stage_runs_and_the_table_is_complete(clone, first_run):
    expected = {"prepare", "simulate", "severity", "datasets", "explore@mnist", "explore@mechanical"}
    expected |= {"training_configs", "transfer", "handwriting", "compare", "report"}
    expected |= {f"{stage}@{one_run}" for stage in ("train", "evaluate") for one_run in RUNS}
    expected |= {"ablation@channels", "ablation_result@channels"}
    assert _stages_run(first_run) == expected
    rows = list(csv.DictReader((clone / "reports" / "comparison.csv").read_text().splitlines()))
    assert {f"{row['dataset']}-{row['model']}" for row in rows} == set(RUNS)
    assert list(rows[0])[:10] == [
        *("dataset", "model", "cv_accuracy_mean", "cv_accuracy_sd", "test_accuracy_mean", "test_accuracy_sd"),
        *("folds", "parameters", "seconds_per_fold", "accuracy_drop"),
    ]
    assert {row["folds"] for row in rows} == {"2"}
    assert all(0 <= float(row["test_accuracy_mean"]) <= 1 for row in rows)
    mnist_mlp = next(row for row in rows if (row["dataset"], row["model"]) == ("mnist", "mlp"))
    assert float(mnist_mlp["test_accuracy_mean"]) > 0.3, "a network that learns nothing from bars is broken"
    assert "<html" in (clone / "reports" / "index.html").read_text()


def test_mlflow_has_a_parent_for_each_run_with_folds_and_an_evaluation(clone, first_run):
    with sqlite3.connect(f"file:{clone / 'mlruns' / 'mlflow.db'}?mode=ro", uri=True) as database:
        # A run whose transfer was interrupted is deleted and sent again; MLflow keeps its row.
        parents = database.execute(
            "select name from runs where lifecycle_stage = 'active' "
            "and run_uuid not in (select run_uuid from tags where key = 'mlflow.parentRunId')"
        ).fetchall()
        beneath = database.execute(
            "select parent.name, count(*) from tags join runs parent on parent.run_uuid = tags.value "
            "where tags.key = 'mlflow.parentRunId' and parent.lifecycle_stage = 'active' group by parent.name"
        ).fetchall()
        (champions,) = database.execute(
            "select count(*) from registered_model_aliases where alias = 'champion'"
        ).fetchone()
    database.close()
    others = ["comparison", "dataset mechanical", "dataset mnist", "ablation channels"]
    others += ["handwriting-class_digits", "report"]
    assert sorted(name for (name,) in parents) == sorted([*RUNS, *others])
    assert {name: count for name, count in beneath if name in RUNS} == dict.fromkeys(RUNS, 2 + 1)
    assert champions == 2


def test_a_second_run_does_nothing(clone, first_run):
    assert re.findall(r"Running stage '([^']+)'", run(clone, "dvc", "repro")) == ["code"]


def test_verify_trains_folds_again_and_finds_a_flipped_byte(clone, first_run):
    output = run(clone, "shearbench", "verify", "--sample", "2")
    assert output.count("bit-equal") == 2
    for name in ("reports/comparison.csv", "build/runs/mnist/mlp/fold-1/weights.safetensors"):
        path = clone / name
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
        assert path.name in run(clone, "shearbench", "verify", status=2)
        path.write_bytes(content)


def test_a_changed_recipe_runs_that_model_and_what_follows(clone, first_run):
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["models"]["cnn2"]["recipe"]["learning_rate"] = 0.004
    params["tracking"]["uri"] = "off"  # no stage depends on it; what MLflow is told has its own tests
    (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    runs = ("mnist-cnn2", "mechanical-cnn2")
    expected = {"training_configs", "transfer", "handwriting", "compare", "report"} | {
        f"{stage}@{one_run}" for stage in ("train", "evaluate") for one_run in runs
    }
    assert _stages_run(repro(clone)) == expected


def test_changed_raw_data_stops_the_pipeline(clone, first_run):
    path = clone / "data" / "mnist" / "t10k-labels-idx1-ubyte"
    original = path.read_bytes()
    path.write_bytes(original[:-1] + bytes([(original[-1] + 1) % 10]))
    output = run(clone, "dvc", "repro", status=255)
    assert "--adopt" in output
    assert "Traceback" not in output
    path.write_bytes(original)
    assert _stages_run(run(clone, "dvc", "repro")) == set()


def test_a_name_that_is_a_command_is_refused_before_dvc_runs_it(clone, first_run):
    before = (clone / "params.yaml").read_text()
    hostile = {"runs": "a;touch canary;", "datasets": "$(touch canary)", "ablations": "a|touch canary"}
    for part, name in hostile.items():
        params = yaml.safe_load(before)
        params["models"]["other"] = params["models"]["mlp"]
        params[part][name] = next(iter(params[part].values()))
        if part == "runs":  # one of its own, as DVC refuses two stages with one output before it looks at the name
            params[part][name] = {"dataset": "mnist", "model": "other"}
        (clone / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        assert "a name must be lower-case" in run(clone, "dvc", "repro", status=255)
        (clone / "params.yaml").write_text(before)
    assert not (clone / "canary").exists()


def _edit(path, change):
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.mark.slow
def test_tuned_settings_are_used_by_the_runs_they_are_for_and_only_on_digits_set_apart(clone, first_run):
    small = {"trials": 2, "reduction": 2, "rungs": 2, "finalists": 1, "folds": 2, "inner_fraction": 0.4}
    _edit(clone / "params.yaml", lambda params: params["tuning"].update(small))
    assert "prepare" not in _stages_run(run(clone, "dvc", "repro", "train")), "how a search goes changes no fold"
    for dataset in ("mnist", "mechanical"):
        assert "Found" in run(clone, "shearbench", "tune", "cnn2", "--dataset", dataset)
    assert _stages_run(run(clone, "dvc", "repro", "train")) == {"training_configs"}, "found, but not used"

    _edit(clone / "params.yaml", lambda params: params["training"].update(use_tuned=["cnn2"]))
    trained = {f"train@{one_run}" for one_run in RUNS}
    assert _stages_run(run(clone, "dvc", "repro", "train")) == {"prepare", "datasets", "training_configs"} | trained, (
        "the folds are others"
    )
    build = clone / "build"
    with np.load(build / "tuning_part" / "mnist.npz") as part, np.load(build / "folds" / "mnist.npz") as table:
        assert set(part["ids"]) == set(table["ids"][table["folds"][0] == -1])

    tuned = clone / "tuned" / "cnn2.yaml"
    _edit(tuned, lambda found: found["mnist"]["hyperparameters"].update(learning_rate=0.004))
    assert _stages_run(run(clone, "dvc", "repro", "train")) == {"training_configs", "train@mnist-cnn2"}
    record = json.loads((clone / "build" / "runs" / "mnist" / "cnn2" / "fold-0" / "record.json").read_text())
    assert record["config"]["recipe"]["learning_rate"] == 0.004
    assert "evaluate@mnist-cnn2" in _stages_run(run(clone, "dvc", "repro", "compare"))

    _edit(tuned, lambda found: found["mnist"]["reserved"].update(ids="0" * 64))
    assert "was found on samples with the ids hash" in run(clone, "dvc", "repro", "train", status=255)
    _edit(clone / "params.yaml", lambda params: params["training"].update(use_tuned=True))
    assert "shearbench tune mlp --dataset mnist" in run(clone, "dvc", "repro", "train", status=255)

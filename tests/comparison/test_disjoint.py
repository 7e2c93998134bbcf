"""The design of disjoint training sets, really trained: what each network saw, and what the verdict stands on."""

from pathlib import Path

import numpy as np
import pytest
import yaml

import shearbench
import small_project
from shearbench.commands import join
from shearbench.data.dataset import FOLDS, load
from shearbench.data.folds import read_folds
from shearbench.params import load as load_params
from shearbench.predictions.folds import check_data, read_fold_runs
from shearbench.records import read_json
from shearbench.stages import compare, training_configs


@pytest.mark.slow
def test_networks_of_disjoint_sets_are_trained_evaluated_and_compared(tmp_path: Path) -> None:
    runs = ("mnist-mlp", "mnist-cnn2")
    whole = small_project.document(runs=runs) | {"cv": {"design": "disjoint", "sets": 2, "inner_fraction": 0.2}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    params = load_params(tmp_path / "params.yaml")
    small_project.write_data(tmp_path)
    training_configs.main(params, tmp_path)
    for run in runs:
        small_project.train_run(params, tmp_path, run)
        small_project.evaluate_run(params, tmp_path, run)
    small_project.transfer_runs(params, tmp_path)
    compare.main(params, tmp_path)
    data = tmp_path / "build/datasets/mnist"
    fold_runs, table = read_fold_runs(tmp_path / "build/runs/mnist/mlp", 2), read_folds(data / FOLDS)
    assert [one.record["sizes"]["train"] for one in fold_runs] == [30, 30]
    for one, other in zip(fold_runs, fold_runs[::-1], strict=True):
        assert set(one.out_of_fold.ids) == set(table.ids[table.split(other.fold, "fold")[0]])
    check_data(fold_runs, fold_runs[0].record["hashes"]["data"], table)
    (pair,) = read_json(tmp_path / "reports/pairs.json")["rows"]
    assert pair["samples"] == len(load(data, "test").ids)
    tested = [np.load(tmp_path / f"build/evaluation/mnist/{model}/test_predictions.npz") for model in ("mlp", "cnn2")]
    accuracies = [(each["probabilities"].argmax(axis=2) == each["labels"]).mean() for each in tested]
    assert pair["difference"] == pytest.approx(accuracies[0] - accuracies[1])
    assert pair["mean_a"] == pytest.approx(accuracies[0])
    assert pair["needed_repeats"] is None
    table = shearbench.load_project(tmp_path).fold_table("mnist")
    for one in fold_runs:
        assert set(table.loc[table["fold"] == one.fold, "id"]) == set(one.out_of_fold.ids)
    found = join.main(params, tmp_path, small_project.write_predictions(tmp_path, tmp_path / "elsewhere"))
    joined = next(row for row in found["rows"] if {row["a"], row["b"]} == {"copied", "mlp"})
    assert abs(joined["difference"]) == abs(pair["difference"])

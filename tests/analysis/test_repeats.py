"""Two folds, dealt twice: four networks a run, every training digit predicted twice, and statistics that know it."""

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import small_project
from shearbench.analysis.exploration import class_counts
from shearbench.comparison.table import compare_runs
from shearbench.data.dataset import load as load_dataset
from shearbench.data.folds import read_folds
from shearbench.errors import InputError
from shearbench.params import Params, load
from shearbench.pipeline.configs import config_of
from shearbench.predictions.folds import check_data, read_fold_runs
from shearbench.records import read_npz, read_record, write_bytes, write_npz, write_record
from shearbench.report import page
from shearbench.statistics.runs import Design, Plan
from shearbench.training import crossval
from shearbench.training.crossval import FoldTask, cross_validate

ROPE = {"mnist": 0.002, "mechanical": 0.005}


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project's runs on MNIST with two repeats: nobody may change it."""
    root = tmp_path_factory.mktemp("twice")
    small_project.make(root, repeats=2, runs=("mnist-mlp", "mnist-cnn2"))
    return root


@pytest.fixture
def params(twice: Path) -> Params:
    return load(twice / "params.yaml")


def _accuracies(root: Path, dataset: str, model: str) -> list[float]:
    fold_runs = read_fold_runs(root / "build" / "runs" / dataset / model, 4)
    return [float((fold_run.out_of_fold.classes == fold_run.out_of_fold.labels).mean()) for fold_run in fold_runs]


def test_the_first_repeat_is_what_one_repeat_gives(twice: Path, finished_once: Path) -> None:
    for fold in range(2):
        paths = [root / f"build/runs/mnist/mlp/fold-{fold}/out_of_fold.npz" for root in (twice, finished_once)]
        assert paths[0].read_bytes() == paths[1].read_bytes()


def test_every_repeat_predicts_every_digit_once_by_networks_of_their_own_seeds(twice: Path) -> None:
    fold_runs = read_fold_runs(twice / "build/runs/mnist/mlp", 4)
    assert [fold_run.fold for fold_run in fold_runs] == [0, 1, 2, 3]
    assert len({fold_run.record["files"]["weights.safetensors"] for fold_run in fold_runs}) == 4
    for repeat in (fold_runs[:2], fold_runs[2:]):
        ids = np.concatenate([fold_run.out_of_fold.ids for fold_run in repeat])
        assert sorted(ids.tolist()) == list(range(60))
    check_data(fold_runs, fold_runs[0].record["hashes"]["data"], read_folds(twice / "build/datasets/mnist/folds.npz"))


def test_scores_count_a_digit_once_and_a_network_each(twice: Path) -> None:
    folder = twice / "build/evaluation/mnist/cnn2"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["out_of_fold"]["n"], metrics["out_of_fold"]["folds"], metrics["test"]["n"]) == (60, 4, 20)
    accuracies = _accuracies(twice, "mnist", "cnn2")
    assert metrics["out_of_fold"]["accuracy_mean"] == pytest.approx(np.mean(accuracies))
    assert pd.read_csv(folder / "confusion_out_of_fold.csv")["count"].sum() == 120
    assert read_npz(folder / "test_predictions.npz")["probabilities"].shape == (4, 20, 10)
    record = json.loads((folder / "record.json").read_text())
    assert (record["folds"], record["repeats"], record["sizes"]) == (2, 2, {"train": 60, "test": 20})
    within = [np.var(accuracies[first : first + 2], ddof=1) for first in (0, 2)]
    assert metrics["out_of_fold"]["accuracy_sd"] == pytest.approx(np.sqrt(np.mean(within)))
    row = pd.read_csv(twice / "reports/comparison.csv").iloc[0]
    assert (row["folds"], row["repeats"], row["n_train"]) == (2, 2, 60)


def test_the_test_corrects_for_the_overlap_of_training_sets(twice: Path) -> None:
    pair = json.loads((twice / "reports/pairs.json").read_text())["rows"][0]
    d = np.subtract(_accuracies(twice, "mnist", "mlp"), _accuracies(twice, "mnist", "cnn2"))
    t = d.mean() / (d.std(ddof=1) * np.sqrt(1 / 4 + 1 / (2 - 1)))
    assert (pair["folds"], pair["repeats"]) == (2, 2)
    assert pair["fold_p"] == pytest.approx(2 * stats.t.sf(abs(t), 3), abs=1e-12)
    tests = [read_npz(twice / f"build/evaluation/mnist/{model}/test_predictions.npz") for model in ("mlp", "cnn2")]
    right = [(each["probabilities"].argmax(axis=2) == each["labels"]).mean() for each in tests]
    assert pair["test_difference"] == pytest.approx(right[0] - right[1])


def test_the_report_says_folds_and_repeats(twice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SECTIONS", [])  # pictures
    assert ("folds", "2 folds \N{MULTIPLICATION SIGN} 2 repeats") in page.read(twice, 1)["provenance"]


def test_classes_are_counted_in_every_fold(twice: Path) -> None:
    table = read_folds(twice / "build/datasets/mnist/folds.npz")
    assert class_counts(load_dataset(twice / "build/datasets/mnist", "train"), table).tolist() == [[3] * 10] * 4


def test_what_is_not_as_planned_is_refused(twice: Path, tmp_path: Path) -> None:
    table = read_folds(twice / "build/datasets/mnist/folds.npz")
    fold_runs = read_fold_runs(twice / "build/runs/mnist/mlp", 2)
    with pytest.raises(InputError, match=r"plans 2 networks a run, but the fold table is for 2 folds x 2 repeats"):
        check_data(fold_runs, fold_runs[0].record["hashes"]["data"], table)
    with pytest.raises(InputError, match="fold-4, fold-5 is not"):
        compare_runs(twice / "build", [("mnist", "mlp")], plan=Plan(Design(2, 3), ROPE))
    root = tmp_path / "project"
    shutil.copytree(twice, root)
    folder = root / "build/runs/mnist/mlp/fold-3"
    record, predictions = read_record(folder), read_npz(folder / "out_of_fold.npz")
    files = {name: partial(write_bytes, content=(folder / name).read_bytes()) for name in record.pop("files")}
    predictions["ids"][0] = 60
    write_record(folder, record, {**files, "out_of_fold.npz": partial(write_npz, arrays=predictions)})
    with pytest.raises(InputError, match="not every repeat of mnist-mlp predicts the same samples"):
        compare_runs(root / "build", [("mnist", "mlp")], plan=Plan(Design(2, 2), ROPE))


def test_more_repeats_keep_the_folds_that_are_there(
    twice: Path, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[list[int]] = []

    def in_this_process(function: Any, tasks: list[FoldTask], **rest: Any) -> None:
        trained.append([task.fold for task in tasks])
        for task in tasks:
            function(task, lambda units: None)

    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    ablation = config_of(params, dataset="mnist", model="mlp")
    table = read_npz(twice / "build/datasets/mnist/folds.npz")
    data = shutil.copytree(twice / "build/datasets/mnist", tmp_path / "data")
    for repeats in (1, 2, 1):
        write_npz(data / "folds.npz", {**table, "folds": table["folds"][:repeats]})
        records = cross_validate(ablation, dataset=data, out=tmp_path / "mlp", workers=1)
        assert len(records) == 2 * repeats
    assert trained == [[0, 1], [2, 3], []]
    assert not (tmp_path / "mlp" / "fold-2").exists()

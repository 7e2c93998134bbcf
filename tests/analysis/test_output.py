"""The files of an evaluation: those of the architecture, deterministic, and true to the networks."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shearbench.params import Params
from shearbench.predictions.contents import evaluation_content
from shearbench.records import read_json, read_npz, read_record
from shearbench.stages import evaluate
from shearbench.training.results import load_network, predict
from small_project import evaluate_run

FILES = {
    "metrics.json",
    "fold_metrics.csv",
    "per_class.csv",
    "confusion_out_of_fold.csv",
    "confusion_test.csv",
    "learning_curves.csv",
    "training_dynamics.csv",
    "test_predictions.npz",
    "calibration.csv",
    "reliability.csv",
    "coverage.csv",
    "misclassified.csv",
    "suspicious_labels.csv",
    "gradcam.npz",
    "explanation.csv",
    "explanation_curves.csv",
    "feature_maps.npz",
    "embedding.csv",
    "embedding.npz",
    "noise.csv",
    "running_averages.csv",
    "corruptions.csv",
    "corruption_errors.csv",
    "measured.npz",
    *(f"figures/{name}.png" for name in ("confusion", "misclassified", "gradcam")),
}


def folder_of(root: Path, run: str) -> Path:
    return root / "build" / "evaluation" / Path(*run.split("-"))


@pytest.mark.parametrize("run", ["mnist-mlp", "mnist-cnn2", "mechanical-mlp"])
def test_record_vouches_for_every_file(finished_once: Path, run: str) -> None:
    record = read_record(folder_of(finished_once, run))
    assert set(record["files"]) == FILES
    assert record["sizes"] == {"train": 60, "test": 20}
    assert (record["measurements"]["gradcam"]["method"] == "saliency") == (record["model"] == "mlp")
    assert bool(record["measurements"]["gradcam"]["skipped"]) == (record["model"] == "mlp")


def test_predictions_are_those_of_each_folds_network(finished_once: Path) -> None:
    stored = read_npz(folder_of(finished_once, "mnist-cnn2") / "test_predictions.npz")
    test = read_npz(finished_once / "build" / "datasets" / "mnist" / "test.npz")
    for fold in range(2):
        network, normaliser, _ = load_network(finished_once / "build" / "runs" / "mnist" / "cnn2" / f"fold-{fold}")
        expected = predict(network, test["inputs"], normaliser=normaliser, batch=7)
        np.testing.assert_allclose(stored["probabilities"][fold], expected, atol=1e-6)
    metrics = json.loads((folder_of(finished_once, "mnist-cnn2") / "metrics.json").read_text())
    hits = stored["probabilities"].argmax(axis=2) == stored["labels"]
    assert metrics["test"]["accuracy_mean"] == pytest.approx(hits.mean())
    assert metrics["test"]["n"] == 20


def test_same_digits_are_explained_on_every_dataset(finished_once: Path) -> None:
    image, field = (read_npz(folder_of(finished_once, run) / "gradcam.npz") for run in ("mnist-mlp", "mechanical-mlp"))
    assert np.array_equal(image["ids"], field["ids"])
    assert image["labels"].tolist() == list(range(10))
    assert image["maps"].shape == (2, 10, 28, 28)
    assert field["seen"].shape == (2, 10, 2, 28, 28)
    assert 0 <= image["maps"].min() <= image["maps"].max() <= 1


def test_dvc_plots_hold_every_epoch_and_every_reading(finished_once: Path) -> None:
    folder = finished_once / "build" / "plots" / "mnist" / "cnn2"
    curves, reads = (pd.read_csv(folder / name) for name in ("learning_curves.csv", "confusion.csv"))
    assert curves.columns.tolist() == ["epoch", "train_accuracy", "validation_accuracy"]
    assert curves["epoch"].tolist() == [1, 2]
    assert len(reads) == 2 * 20
    metrics = read_json(finished_once / "build/evaluation/mnist/cnn2/metrics.json")
    assert (reads["actual"] == reads["predicted"]).mean() == pytest.approx(metrics["test"]["accuracy_mean"])


def test_evaluating_again_gives_the_same_bytes(finished: Path, small_params: Params) -> None:
    before = read_record(folder_of(finished, "mechanical-mlp"))["files"]
    evaluate_run(small_params, finished, "mechanical-mlp")
    assert read_record(folder_of(finished, "mechanical-mlp"))["files"] == before


def test_stage_gives_the_same_bytes_in_worker_processes(finished: Path, small_params: Params) -> None:
    before = read_record(folder_of(finished, "mnist-cnn2"))["files"]
    evaluate.main(small_params, finished, "mnist-cnn2")
    assert read_record(folder_of(finished, "mnist-cnn2"))["files"] == before


def test_learning_curves_are_means_of_the_histories(finished_once: Path) -> None:
    curves = pd.read_csv(folder_of(finished_once, "mnist-mlp") / "learning_curves.csv")
    fold_runs = finished_once / "build" / "runs" / "mnist" / "mlp"
    losses = [pd.read_csv(fold_runs / f"fold-{fold}" / "history.csv")["validation_loss"] for fold in range(2)]
    expected = ((losses[0] + losses[1]) / 2).tolist()
    assert curves[curves["split"] == "validation"]["loss_mean"].tolist() == pytest.approx(expected)


def test_the_tracker_is_told_what_was_asked_of_the_networks(finished_once: Path) -> None:
    folder = folder_of(finished_once, "mnist-cnn2")
    told = evaluation_content(folder, read_record(folder)).metrics
    noise = pd.read_csv(folder / "noise.csv")
    assert told["noise_accuracy/own_4"] == noise.query("scale == 'own' and level == 4")["accuracy_mean"].item()
    blur = pd.read_csv(folder / "corruptions.csv").query("corruption == 'blur'")
    assert told["corruption_accuracy/blur"] == pytest.approx(blur["accuracy_mean"].sum() / 5)
    networks = pd.read_csv(folder / "embedding.csv").query("space == 'penultimate'")
    assert told["penultimate/purity"] == pytest.approx(networks["purity"].sum() / 2)
    maps = pd.read_csv(folder / "explanation.csv").set_index("measure")
    assert told["map/entropy"] == maps.loc["entropy", "mean"]
    assert all(np.isfinite(value) for value in told.values())

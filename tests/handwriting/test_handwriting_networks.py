"""Available networks and their last hidden layer: found by their records, and distances against SciPy's."""

import shutil
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from shearbench.errors import InputError
from shearbench.handwriting import networks
from shearbench.handwriting.networks import STEPS, FineTuningTask, PredictionTask, as_inputs, available, best_of
from shearbench.training.results import load_network


def _as_ablation(root: Path, model: str, name: str) -> None:
    source = root / "build" / "runs" / "mnist" / model
    shutil.copytree(source, root / "build" / "ablations" / networks.ABLATION / "mnist" / name)


def test_the_steps_are_the_studys_and_each_changes_one_thing() -> None:
    assert [step.number for step in STEPS] == [1, 2, 3, 4, 5, 6, 7]
    for before, after in pairwise(STEPS):
        changed = [getattr(before, name) != getattr(after, name) for name in ("training", "preparation", "filtered")]
        assert sum(changed) == (0 if after.title == "per group" else 1)


def test_networks_are_named_by_their_folder(finished: Path) -> None:
    for model, name in (("mlp", "mlp_strong"), ("cnn2", "cnn2_strong"), ("mlp", "mlp_plain"), ("mlp", "mlp_small")):
        _as_ablation(finished, model, name)
    found = available(finished / "build")
    named = {(one.network, one.training): len(one.fold_runs) for one in found}
    assert named == {
        ("mlp", "strong"): 2,
        ("cnn2", "strong"): 2,
        ("mlp", "plain"): 2,
        ("mlp_small", "grid"): 2,
        ("mlp", "run"): 2,
        ("cnn2", "run"): 2,
    }
    best = max((one for one in found if one.training == "strong"), key=lambda one: one.mnist_accuracy)
    assert best_of(found) is best


def test_a_fold_that_is_not_finished_is_left_out_and_no_network_at_all_is_the_users_to_mend(finished: Path) -> None:
    (finished / "build" / "runs" / "mnist" / "mlp" / "fold-1" / "record.json").unlink()
    assert {len(one.fold_runs) for one in available(finished / "build") if one.network == "mlp"} == {1}
    shutil.rmtree(finished / "build" / "runs" / "mnist")
    with pytest.raises(InputError, match="dvc repro ablation@handwriting"):
        available(finished / "build")


def test_a_network_says_of_prepared_images_what_it_says_of_inputs(finished_once: Path) -> None:
    fold_run = finished_once / "build" / "runs" / "mnist" / "mlp" / "fold-0"
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    predictions = networks.predict_images(PredictionTask(fold_run, 1, {"mnist": images}, "cpu"), lambda _: None)[
        "mnist"
    ]
    network, normaliser, _ = load_network(fold_run)
    with torch.no_grad():
        expected = network(torch.from_numpy(normaliser.apply(images[:, None]))).softmax(dim=1)
    np.testing.assert_allclose(predictions, expected.numpy(), atol=1e-5)


def test_the_last_hidden_layer_is_what_the_head_multiplies(finished_once: Path) -> None:
    for model in ("mlp", "cnn2"):
        network, normaliser, _ = load_network(finished_once / "build" / "runs" / "mnist" / model / "fold-0")
        images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
        inputs = as_inputs(images, 1)
        entered = torch.from_numpy(networks.hidden(network, inputs, normaliser, "cpu")).float()
        head = networks.last_linear(network)
        with torch.no_grad():
            expected = network(torch.from_numpy(normaliser.apply(inputs)))
            torch.testing.assert_close(head(entered), expected)


def test_the_distance_is_mahalanobis_to_the_nearest_class() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 3], 200)
    known = rng.normal(size=(400, 3)) @ np.diag([1, 2, 0.5]) + labels[:, None]
    asked = rng.normal(size=(5, 3)) * 3
    centred = known - np.stack([known[labels == each].mean(axis=0) for each in labels])
    covariance = 0.9 * centred.T @ centred / 400
    covariance += 0.1 * (np.trace(centred.T @ centred / 400) / 3) * np.eye(3)
    inverse = np.linalg.inv(covariance)
    expected = [min(mahalanobis(one, known[labels == each].mean(axis=0), inverse) for each in (0, 3)) for one in asked]
    np.testing.assert_allclose(networks.mahalanobis(asked, known, labels), expected, rtol=1e-6)


def test_a_dead_fold_has_no_distance_and_is_left_out_of_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8), np.repeat(np.arange(10), 4)
    of_folds = {Path("dead"): np.zeros((40, 3)), Path("alive"): rng.normal(size=(40, 3))}
    monkeypatch.setattr(networks, "load_network", lambda fold_run: (torch.nn.Linear(1, 1), fold_run, None))
    monkeypatch.setattr(networks, "hidden", lambda network, inputs, fold_run, device: of_folds[fold_run])
    monkeypatch.setattr(
        networks, "run_tasks", lambda run, tasks, **_: [run(task, lambda units: None) for task in tasks]
    )
    read = {
        name: networks.distance(networks.DistanceTask(name, 1, images, images, labels, "cpu"), lambda units: None)
        for name in of_folds
    }
    assert np.isnan(read[Path("dead")]).all()
    assert np.median(read[Path("alive")]) == pytest.approx(1)
    folds = [SimpleNamespace(folder=folder) for folder in of_folds]
    network = SimpleNamespace(channels=1, fold_runs=folds)
    found = networks.distances(network, images, images, labels, workers=1, device="cpu")
    np.testing.assert_array_equal(found, read[Path("alive")])


def test_fine_tuning_learns_from_other_groups_and_never_from_the_one_left_out(finished_once: Path) -> None:
    """Bars that MNIST does not have: groups 1 and 2 draw them alike, group 3 mirrors them."""
    fold_run = finished_once / "build" / "runs" / "mnist" / "mlp" / "fold-0"
    labels, groups = np.tile(np.arange(10), 6), np.repeat([1, 2, 3], 20)
    images = np.zeros((60, 28, 28), np.uint8)
    for place, (label, group) in enumerate(zip(labels, groups, strict=True)):
        column = 2 * label + 4 if group < 3 else 23 - 2 * label
        images[place, 4:24, column : column + 2] = 255
    task = FineTuningTask(fold_run, 1, images, labels, groups, 1, 7, "cpu")
    one = networks.fine_tune(task, lambda _: None)
    assert one.shape == (20, 10)
    np.testing.assert_array_equal(one, networks.fine_tune(task, lambda _: None))  # seeded
    swapped = images.copy()
    swapped[groups == 1] = 0
    hidden = FineTuningTask(fold_run, 1, swapped, (labels + 5 * (groups == 1)) % 10, groups, 1, 7, "cpu")
    blind = networks.fine_tune(hidden, lambda _: None)
    assert not np.array_equal(one, blind)  # it read black pictures
    np.testing.assert_allclose(blind, np.broadcast_to(blind[0], blind.shape), atol=1e-6)
    relabelled = FineTuningTask(fold_run, 1, images, (labels + 5 * (groups == 1)) % 10, groups, 1, 7, "cpu")
    np.testing.assert_array_equal(one, networks.fine_tune(relabelled, lambda _: None))  # its labels were not used

"""A trial trained for real: rung by rung it is the full training, and its failures have reasons."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from patterns import config_with
from shearbench.data.dataset import FOLDS, load
from shearbench.data.folds import read_folds
from shearbench.errors import NotWritten
from shearbench.execution import run_tasks
from shearbench.records import hash_arrays
from shearbench.seeds import seed_for
from shearbench.training import checkpoint
from shearbench.training.checkpoint import CHECKPOINT, read_checkpoint
from shearbench.training.config import assemble
from shearbench.training.loop import fit
from shearbench.tuning.trial import TrialTask, rows_of_trials, run_trial


def _task(part, folder, until, **changes):
    return TrialTask(config_with(**changes), part, folder / "trial", folder / "refused", until)


def _advance(units):
    pass


def _rows(part, config):
    return rows_of_trials(read_folds(part / FOLDS), config)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_trial_in_rungs_is_the_full_training_bit_for_bit(part, tmp_path, schedule):
    settings = {"architecture": "cnn2", "width": 0.1, "epochs": 4, "schedule": schedule}
    for epochs in (1, 2, 4):
        result = run_trial(_task(part, tmp_path, epochs, **settings), _advance)
        assert len(result.curve) == epochs
        assert result.over == (epochs == 4)
    config = config_with(**settings)
    seed = seed_for(42, "tune", "patterns", "small")
    training_state = assemble(config, load(part, "train"), _rows(part, config), seed=seed)
    progress = fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
    assert [point.accuracy for point in result.curve] == [epoch.validation.accuracy for epoch in progress.history]
    assert [point.train_loss for point in result.curve] == [epoch.train.loss for epoch in progress.history]
    hashes = _hashes_of(tmp_path)
    kept = read_checkpoint(tmp_path / "trial" / CHECKPOINT, hashes=hashes, device="cpu")
    for name, value in training_state.network.state_dict().items():
        np.testing.assert_array_equal(kept.tensors[f"network.{name}"], value)


def _hashes_of(folder):
    with safe_open(folder / "trial" / CHECKPOINT, framework="pt") as file:
        return json.loads(file.metadata()["training"])["hashes"]


def test_an_epoch_is_paid_once(part, tmp_path):
    paid = []
    for epochs in (1, 3, 3):
        run_trial(_task(part, tmp_path, epochs), paid.append)
    assert sum(paid) == 3


def test_a_checkpoint_of_another_processor_is_not_resumed(part, tmp_path, monkeypatch):
    """Its epochs are rounded differently, so the trial would be neither processor's training."""
    paid = []
    run_trial(_task(part, tmp_path, 1), paid.append)
    with monkeypatch.context() as other:
        other.setattr(checkpoint, "instructions", lambda: "Another AVX2")
        run_trial(_task(part, tmp_path, 2), paid.append)
    assert sum(paid) == 1 + 2
    run_trial(_task(part, tmp_path, 2), paid.append)
    assert sum(paid) == 1 + 2 + 2


def test_with_patience_a_trial_is_scored_by_the_weights_it_would_store(part, tmp_path):
    task = _task(part, tmp_path, 20, epochs=20, patience=2, learning_rate=0.1)
    result = run_trial(task, _advance)
    assert result.over
    assert len(result.curve) < 20
    losses = [point.loss for point in result.curve]
    for epoch, point in enumerate(result.curve, start=1):
        assert point.stored == result.curve[int(np.argmin(losses[:epoch]))].accuracy


def test_a_trial_sees_the_tuning_part_and_nothing_else(part, build, whole, tmp_path):
    task = _task(part, tmp_path, 1)
    reserved = run_trial(task, _advance).facts["reserved"]
    inside = load(part, "train")
    np.testing.assert_array_equal(inside.ids, np.arange(100, 340))
    np.testing.assert_array_equal(inside.inputs, whole.inputs[100:340])
    rows = _rows(part, task.config)
    assert len(rows.train) == 160
    assert len(rows.validation) == 80
    assert not set(rows.train) & set(rows.validation)
    shares = np.bincount(inside.labels[rows.validation]) / np.bincount(inside.labels)
    assert shares == pytest.approx([1 / 3] * 10, abs=0.05), "stratified"
    assert reserved == {
        "data": inside.content_hash,
        "train": hash_arrays(inside.ids[rows.train]),
        "inner": hash_arrays(inside.ids[rows.validation]),
    }
    assert sorted(path.name for path in part.iterdir()) == ["card.json", "folds.npz", "train.npz"]


def test_a_loss_that_diverges_is_a_failed_trial_with_its_reason(part, tmp_path):
    result = run_trial(_task(part, tmp_path, 3, learning_rate=1e30), _advance)
    assert "the loss is" in result.failure
    assert "lower recipe.learning_rate" in result.failure
    assert not result.out_of_memory


def test_memory_that_runs_out_is_a_failed_trial_and_no_larger_one_is_tried(part, tmp_path):
    huge = _task(part, tmp_path, 1, width=1e8, batch=16)  # more than an address space holds, so no machine grants it
    result = run_trial(huge, _advance)
    assert result.out_of_memory
    assert "out of memory with batches of 16" in result.failure
    larger = replace(huge, config=config_with(width=2e8, batch=32))
    assert "not tried: batch 16 at width" in run_trial(larger, _advance).failure
    smaller = replace(huge, config=config_with(batch=16))
    assert run_trial(smaller, _advance).failure is None


def test_a_disk_that_does_not_take_the_checkpoint_is_no_failure_of_the_trial(part, tmp_path):
    (tmp_path / "trial").write_text("in the way")
    task = _task(part, tmp_path, 1)
    with pytest.raises(NotWritten, match="checkpoint"):
        run_trial(task, _advance)
    (tmp_path / "trial").unlink()
    assert run_trial(task, _advance).failure is None


def test_workers_change_nothing(part, tmp_path):
    tasks = [
        TrialTask(config_with(batch=batch), part, tmp_path / str(batch), tmp_path / "refused", 2)
        for batch in (10, 20, 30)
    ]
    here = [run_trial(replace(task, folder=tmp_path / "here" / task.folder.name), _advance) for task in tasks]
    there = run_tasks(run_trial, tasks, workers=2, label="trials")
    assert [result.curve for result in there] == [result.curve for result in here]

"""Folds as a stage trains them: the same bytes however they were run, and records that say what they are."""

import csv
import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from patterns import train_killed_once
from shearbench import code
from shearbench.data import normalise
from shearbench.data.dataset import load
from shearbench.data.folds import FoldTable, write_folds
from shearbench.errors import InputError, TasksFailed
from shearbench.execution import run_tasks
from shearbench.records import read_npz, read_record
from shearbench.seeds import generator_for
from shearbench.training import crossval
from shearbench.training.checkpoint import CHECKPOINT, read_checkpoint
from shearbench.training.config import TrainingConfig, code_hash
from shearbench.training.crossval import FoldTask, cross_validate, train_fold
from shearbench.training.hardware import instructions
from shearbench.training.results import load_network, predict, score

Make = Callable[..., TrainingConfig]
SAME_BYTES = ("weights.safetensors", "out_of_fold.npz", "history.csv", "batches.csv")


@pytest.fixture(scope="module")
def config(make_config: Make) -> TrainingConfig:
    """Dropout, convolutions, augmentation, early stopping and bf16: all that draws or rounds."""
    return make_config(architecture="cnn2", width=0.1, epochs=4, patience=3, augment="affine", precision="bf16")


def _run(config: TrainingConfig, data: Path, out: Path, *, workers: int = 1, only: Sequence[int] | None = None) -> None:
    cross_validate(
        config,
        dataset=data / "patterns",
        out=out,
        workers=workers,
        only=only,
    )


def _bytes(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in SAME_BYTES}


@pytest.fixture(scope="module")
def runs(config: TrainingConfig, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All folds, trained by two workers."""
    out = tmp_path_factory.mktemp("runs")
    (out / "fold-3").mkdir()  # of a table that had more folds
    _run(config, data, out, workers=2)
    return out


def _task(config: TrainingConfig, data: Path, out: Path, fold: int) -> FoldTask:
    hashes = {"config": config.config_hash, "code": code_hash(config)}
    dataset = data / "patterns"
    return FoldTask(config, fold, dataset, out, hashes, checkpoint_seconds=0)


def _advance(units: int) -> None:
    pass


def test_one_worker_and_another_order_give_the_same_bytes(
    config: TrainingConfig, data: Path, runs: Path, tmp_path: Path
) -> None:
    for fold in (2, 0):
        train_fold(_task(config, data, tmp_path / f"fold-{fold}", fold), _advance)
    _run(config, data, tmp_path, only=[1])
    for fold in (2, 0, 1):
        assert _bytes(tmp_path / f"fold-{fold}") == _bytes(runs / f"fold-{fold}")


def test_a_killed_fold_goes_on_to_the_same_bytes(
    config: TrainingConfig, data: Path, runs: Path, tmp_path: Path
) -> None:
    task = _task(config, data, tmp_path / "fold-1", 1)
    run_tasks(train_killed_once, [task], workers=1, label="test")
    assert (tmp_path / "killed").exists()
    assert _bytes(task.out) == _bytes(runs / "fold-1")


def _train_noting(task: FoldTask, sign: Path, when: str) -> None:
    """Train a fold; touch ``sign`` at its start, or once an epoch has been done in this process."""
    if when == "start":
        sign.touch()
    calls = []

    def advance(epochs: int) -> None:
        calls.append(epochs)
        if len(calls) == 2:  # the first call counts what a checkpoint held, or is the first epoch of all
            sign.touch()

    train_fold(task, advance)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_byte(make_config: Make, data: Path, tmp_path: Path) -> None:
    """A kill falls within 0.4 s after the start or after an epoch: in epochs, in checkpoints and between."""
    config = make_config(architecture="cnn2", width=0.1, epochs=300, patience=300, augment="affine", precision="bf16")
    train_fold(_task(config, data, tmp_path / "whole", 1), _advance)
    task = _task(config, data, tmp_path / "killed", 1)
    context, rng = multiprocessing.get_context("spawn"), generator_for(1, "kills")
    epochs_done = []
    for number in range(20):
        sign = tmp_path / f"sign-{number}"
        process = context.Process(target=_train_noting, args=(task, sign, ("start", "epoch")[number % 2]))
        process.start()
        while not sign.exists():
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the training was too short to be killed 20 times"
        found = read_checkpoint(
            task.out / CHECKPOINT, hashes={**task.hashes, "instructions": instructions()}, device="cpu"
        )
        epochs_done.append(len(found.progress.history) if found else 0)
    train_fold(task, _advance)
    print("epochs done at each kill:", epochs_done)
    assert epochs_done == sorted(epochs_done)
    assert len(set(epochs_done)) > 5, "it went on from where it was killed"
    assert _bytes(task.out) == _bytes(tmp_path / "whole")


def test_the_record_says_what_it_is(config: TrainingConfig, runs: Path) -> None:
    record = read_record(runs / "fold-1")
    assert {"dataset": "patterns", "model": "small", "fold": 1, "seed": 42}.items() <= record.items()
    assert TrainingConfig.from_record(record) == config
    assert set(record["hashes"]) == {"config", "data", "folds", "code"}
    assert record["parameters"] == 3 * 9 + 3 + 3 * 6 * 9 + 6 + 49 * 6 * 13 + 13 + 13 * 10 + 10
    assert record["sizes"] == {"train": 128, "inner": 32, "validation": 80}
    assert record["seconds"] == pytest.approx(sum(record["epoch_seconds"]))
    assert len(record["epoch_seconds"]) == record["epochs"] <= 4
    assert record["cpu_seconds"] == pytest.approx(sum(record["epoch_cpu_seconds"]))
    assert all(cpu > 0 for cpu in record["epoch_cpu_seconds"])
    assert record["memory"] == max(record["epoch_memory"])
    assert 1e7 < record["memory"] < 1e11, "bytes: more than an interpreter, less than a machine"
    assert set(record["files"]) == set(SAME_BYTES)


def test_the_metrics_are_those_of_the_stored_weights_and_predictions(data: Path, runs: Path) -> None:
    network, normaliser, record = load_network(runs / "fold-1")
    held_out, dataset = read_npz(runs / "fold-1" / "out_of_fold.npz"), load(data / "patterns", "train")
    inputs = dataset.inputs[held_out["ids"]]
    assert held_out["ids"].tolist() == [number for number in range(240) if number % 3 == 1]
    assert held_out["labels"].tolist() == dataset.labels[held_out["ids"]].tolist()
    assert held_out["probabilities"].tobytes() == predict(network, inputs, normaliser=normaliser).tobytes()
    measured = score(held_out["probabilities"], held_out["labels"])
    assert record["metrics"]["validation_loss"] == measured.loss
    assert record["metrics"]["validation_accuracy"] == measured.accuracy


def test_the_history_has_a_line_an_epoch_and_the_batches_one_a_batch(runs: Path) -> None:
    record = read_record(runs / "fold-0")
    history = list(csv.DictReader((runs / "fold-0" / "history.csv").read_text().splitlines()))
    batches = list(csv.DictReader((runs / "fold-0" / "batches.csv").read_text().splitlines()))
    assert [int(line["epoch"]) for line in history] == list(range(1, record["epochs"] + 1))
    samples = record["sizes"]["train"]
    assert 121 < samples <= 140
    sizes = [20] * 6 + [samples - 120] if samples >= 130 else [20] * 5 + [samples - 100]
    assert len(batches) == record["epochs"] * len(sizes)
    best = min(history, key=lambda line: float(line["inner_loss"]))
    assert int(best["epoch"]) == record["best_epoch"]
    first = [(float(line["loss"]), size) for line, size in zip(batches, sizes, strict=False)]
    assert sum(loss * size for loss, size in first) / samples == pytest.approx(float(history[0]["train_loss"]))


def test_the_normalisation_is_fitted_on_what_trains_and_nothing_else(
    make_config: Make, data: Path, tmp_path: Path
) -> None:
    entry = {"source": "mnist", "channels": 1, "normalise": "pixel"}
    train_fold(_task(make_config(entry=entry, epochs=1), data, tmp_path, 0), _advance)
    _, normaliser, _ = load_network(tmp_path)
    dataset = load(data / "patterns", "train")
    expected = normalise.fit("pixel", dataset.inputs[dataset.ids % 3 != 0])
    assert normaliser.mean.tobytes() == expected.mean.tobytes()
    assert normaliser.scale.tobytes() == expected.scale.tobytes()


def test_folds_that_the_table_lacks_are_removed(runs: Path) -> None:
    assert sorted(path.name for path in runs.iterdir()) == ["fold-0", "fold-1", "fold-2"]


def test_finished_folds_are_kept_and_those_of_other_settings_replaced(
    make_config: Make, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def in_this_process(function: Callable[..., None], tasks: list[FoldTask], **rest: object) -> None:
        trained.append([task.fold for task in tasks])
        for task in tasks:
            function(task, _advance)

    monkeypatch.setattr(crossval, "run_tasks", in_this_process)
    first, second = make_config(epochs=1), make_config(epochs=2)
    _run(first, data, tmp_path, only=[0])
    _run(first, data, tmp_path)
    _run(first, data, tmp_path)
    _run(second, data, tmp_path)
    assert trained == [[0], [1, 2], [], [0, 1, 2]]
    assert [read_record(tmp_path / f"fold-{fold}")["epochs"] for fold in range(3)] == [2, 2, 2]


def test_two_processes_never_train_one_fold_at_once(make_config: Make, data: Path, tmp_path: Path) -> None:
    task = _task(make_config(epochs=1), data, tmp_path, 0)
    holder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)  # the lock is of what was opened: here as in another process
    with pytest.raises(InputError, match="another process trains"):
        train_fold(task, _advance)
    assert not list(tmp_path.iterdir())
    os.close(holder)
    train_fold(task, _advance)
    assert crossval.is_up_to_date(task)


@pytest.mark.parametrize("damage", ["weights.safetensors", "record.json"])
def test_a_damaged_fold_is_not_kept(make_config: Make, data: Path, tmp_path: Path, damage: str) -> None:
    config = make_config(epochs=1)
    task = _task(config, data, tmp_path, 0)
    train_fold(task, _advance)
    assert crossval.is_up_to_date(task)
    assert not crossval.is_up_to_date(replace(task, hashes={"config": "other"}))
    (tmp_path / damage).write_text("{")
    assert not crossval.is_up_to_date(task)


def test_leftovers_of_a_kill_are_cleared_from_finished_folds(config: TrainingConfig, data: Path, runs: Path) -> None:
    for name in ("checkpoint.safetensors", ".checkpoint.safetensors.abc.tmp"):
        (runs / "fold-0" / name).touch()
    _run(config, data, runs)
    assert {path.name for path in (runs / "fold-0").iterdir()} == {*SAME_BYTES, "record.json"}


def test_a_fold_that_diverges_is_named_and_the_others_finish(make_config: Make, data: Path, tmp_path: Path) -> None:
    tasks = [
        _task(make_config(learning_rate=rate, epochs=1), data, tmp_path / f"fold-{fold}", fold)
        for fold, rate in enumerate([1e30, 0.01])
    ]
    message = r"(?s)1 of 2 tasks failed.*fold 0: the loss is \w+ (in|after) epoch 1.*learning rate 1e\+30"
    with pytest.raises(TasksFailed, match=message):
        run_tasks(train_fold, tasks, workers=1, label="test", name=lambda task: f"fold {task.fold}")
    assert not (tmp_path / "fold-0" / "record.json").exists()
    assert read_record(tmp_path / "fold-1")["epochs"] == 1


def test_a_fold_table_of_other_digits_is_refused(make_config: Make, data: Path, tmp_path: Path) -> None:
    dataset = shutil.copytree(data / "patterns", tmp_path / "patterns")
    write_folds(dataset / "folds.npz", FoldTable(np.arange(1, 241), np.arange(240)[None] % 3))
    task = replace(_task(make_config(), data, tmp_path / "fold-0", 0), dataset=dataset)
    with pytest.raises(ValueError, match="has not the ids of"):
        train_fold(task, _advance)


def test_the_code_hash_is_that_of_the_code_used(make_config: Make) -> None:
    field = {"source": "simulated", "load": "shear", "step": 5}
    same, other, pixel, detrended = (
        code_hash(make_config(**changes))
        for changes in (
            {"architecture": "cnn2", "width": 0.5},
            {"architecture": "cnn3"},
            {"architecture": "cnn2", "entry": {**field, "normalise": "pixel"}},
            {"architecture": "cnn2", "entry": {**field, "normalise": "detrend"}},
        )
    )
    assert same == pixel == code_hash(make_config(architecture="cnn2"))
    assert len({same, other, detrended}) == 3, "detrending runs the simulator"


def test_the_code_hash_covers_the_layers_that_networks_share(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_hash(make_config(architecture="cnn2"))
    package = tmp_path / "shearbench"
    shutil.copytree(code.PACKAGE, package)
    monkeypatch.setattr(code, "PACKAGE", package)
    edited = package / "models" / "layers.py"
    edited.write_text(edited.read_text() + "# a comment changes nothing\n")
    assert code_hash(make_config(architecture="cnn2")) == before
    edited.write_text(edited.read_text() + "EDITED = True\n")
    assert code_hash(make_config(architecture="cnn2")) != before


def test_a_probability_of_zero_is_a_large_loss_and_not_an_infinite_one() -> None:
    probabilities = np.eye(10, dtype=np.float32)[[0, 0]]
    measured = score(probabilities, np.array([0, 1]))
    assert measured.accuracy == 0.5
    assert measured.loss == pytest.approx(-np.log(np.finfo(np.float32).tiny) / 2)
    assert json.dumps(measured.loss, allow_nan=False)


LEAKS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.dense = nn.Linear(784 * channels, 10)

    def forward(self, images):
        if self.training:
            torch.set_flush_denormal(True)
            torch.backends.mkldnn.conv.fp32_precision = "bf16"
        return self.dense(images.flatten(1))
"""


def test_what_a_network_does_to_torch_while_it_trains_ends_with_its_fold(
    make_config: Make, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "leaking_net.py").write_text(LEAKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "networks")
    ours = make_config(architecture="cnn2", width=0.1, epochs=1)
    leaking = make_config(architecture="leaking_net.Net", width=1.0, epochs=1, options={})
    for name, config in {"before": ours, "leaking": leaking, "after": ours}.items():
        train_fold(_task(config, data, tmp_path / name, 0), _advance)
    assert torch.full((1,), 1e-40) * 1 > 0
    assert _bytes(tmp_path / "after") == _bytes(tmp_path / "before")

"""Training on a GPU: the same bytes every time, all data on the device, and the numbers of the CPU but for rounding."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from patterns import config_with, make_dataset, train_killed_once
from shearbench.commands.verify import verify
from shearbench.data.dataset import write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.errors import TasksFailed
from shearbench.execution import Advance, run_tasks
from shearbench.records import read_npz, read_record
from shearbench.training.augmentation import AUGMENTATIONS
from shearbench.training.checkpoint import CHECKPOINT
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble
from shearbench.training.crossval import FoldTask, cross_validate, fold_task, is_up_to_date, train_fold
from shearbench.training.hardware import Hardware, resolve, settle
from shearbench.training.loop import fit, run_epoch, step_of, train_step
from shearbench.training.optimiser import Adam, GraphedStep, Step
from shearbench.training.state import Part, Progress

NETWORKS = {"mlp": 0.2, "cnn2": 0.2, "cnn3": 0.1, "resnet18": 0.125}
FILES = ("weights.safetensors", "out_of_fold.npz", "history.csv", "batches.csv")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``patterns/`` and ``folds.npz`` of three folds."""
    folder = tmp_path_factory.mktemp("data")
    train, test = make_dataset(600, seed=1), make_dataset(20, seed=2, first_id=600)
    write_dataset(folder / "patterns", {"train": train, "test": test}, {})
    write_folds(folder / "patterns" / "folds.npz", FoldTable(train.ids, train.ids[None] % 3))
    return folder


def _ablation(architecture: str, precision: str, **changes: object) -> TrainingConfig:
    """Augmentation, early stopping and, but for resnet18, dropout: all that draws."""
    settings = {"epochs": 3, "patience": 3, "augment": "strong", "learning_rate": 0.003, "device": "cuda", **changes}
    return config_with(
        architecture=architecture, width=NETWORKS[architecture], precision=precision, batch=50, **settings
    )


def _run(config: TrainingConfig, data: Path, out: Path, workers: int = 1) -> list[dict]:
    return cross_validate(
        config,
        dataset=data / "patterns",
        out=out,
        workers=workers,
        only=(0, 1),
    )


def _task(config: TrainingConfig, data: Path, out: Path) -> FoldTask:
    task = fold_task(config, 0, dataset=data / "patterns", out=out)
    return FoldTask(**{**vars(task), "checkpoint_seconds": 0})


def _bytes(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


def _trained(config: TrainingConfig, **hardware: str) -> tuple[TrainingState, Progress]:
    """Train in this process, on 400 patterns, with 200 held out."""
    moved = config.model_copy(update=hardware)
    settle(moved.hardware)
    training_state = assemble(moved, make_dataset(600, seed=1), Selection(np.arange(400), np.arange(400, 600)), seed=5)
    return training_state, fit(
        training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config
    )


def test_auto_is_cuda_in_bf16() -> None:
    assert resolve("auto", "auto") == Hardware("cuda", "bf16")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("architecture", NETWORKS)
def test_folds_have_the_same_bytes_by_one_worker_or_two(
    architecture: str, precision: str, data: Path, tmp_path: Path
) -> None:
    config = _ablation(architecture, precision)
    records = _run(config, data, tmp_path / "one", workers=1)
    _run(config, data, tmp_path / "two", workers=2)
    for fold in ("fold-0", "fold-1"):
        assert _bytes(tmp_path / "one" / fold) == _bytes(tmp_path / "two" / fold)
    assert {record["gpu"] for record in records} == {torch.cuda.get_device_name()}
    assert {(record["config"]["device"], record["config"]["precision"]) for record in records} == {("cuda", precision)}


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_killed_fold_goes_on_to_the_same_bytes(architecture: str, data: Path, tmp_path: Path) -> None:
    config = _ablation(architecture, "bf16", epochs=4, patience=4)
    _run(config, data, tmp_path / "whole")
    task = _task(config, data, tmp_path / "killed" / "fold-0")
    run_tasks(train_killed_once, [task], workers=1, label="test")
    assert (tmp_path / "killed" / "killed").exists()
    assert _bytes(task.out) == _bytes(tmp_path / "whole" / "fold-0")


def test_a_checkpoint_of_the_gpu_is_not_gone_on_from_on_the_cpu(data: Path, tmp_path: Path) -> None:
    config = _ablation("mlp", "fp32", epochs=1, patience=None)
    task = _task(config, data, tmp_path / "fold-0")
    run_tasks(train_fold, [task], workers=1, label="test")
    on_the_cpu = _task(config.model_copy(update={"device": "cpu"}), data, tmp_path / "fold-0")
    assert is_up_to_date(task)
    assert not is_up_to_date(on_the_cpu)


def test_verify_finds_a_fold_bit_equal(data: Path, tmp_path: Path) -> None:
    _run(_ablation("cnn2", "bf16"), data, tmp_path)
    (verdict,) = verify([tmp_path / "fold-0"], datasets=data, workers=1)
    assert (verdict.verdict, verdict.changed, verdict.distance) == ("bit-equal", (), 0.0)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_the_first_epoch_is_that_of_the_cpu_but_for_rounding(architecture: str) -> None:
    """Weights, order and augmentation are drawn alike on both; dropout is not, so there is none."""
    options = {} if architecture == "resnet18" else {"dropout": 0.0}
    config = _ablation(architecture, "fp32", epochs=1, patience=None, options=options, augment="affine")
    (training_state, there), (here, on_the_cpu) = _trained(config), _trained(config, device="cpu")
    assert {each.device.type for each in training_state.network.parameters()} == {"cuda"}
    np.testing.assert_allclose(there.batch_losses[0][0], on_the_cpu.batch_losses[0][0], rtol=1e-5)
    np.testing.assert_allclose(there.batch_losses[0], on_the_cpu.batch_losses[0], rtol=2e-2)
    for name, value in training_state.network.state_dict().items():
        near = torch.isclose(value.cpu().double(), here.network.state_dict()[name].double(), rtol=0.05, atol=0.01)
        assert near.double().mean() > 0.99, name  # Adam's first steps turn the sign of a tiny gradient into a step


def test_all_samples_lie_on_the_device() -> None:
    part = Part.of(make_dataset(600, seed=1), np.arange(600), Hardware("cuda"))
    assert (part.inputs.device.type, part.inputs.dtype, len(part.inputs)) == ("cuda", torch.uint8, 600)
    assert part.labels.device.type == "cuda"


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmented_images_are_those_of_the_cpu_but_for_rounding(name: str) -> None:
    images = torch.from_numpy(make_dataset(200, seed=3).inputs).float()
    here = AUGMENTATIONS[name](images, torch.Generator().manual_seed(7))
    there = AUGMENTATIONS[name](images.cuda(), torch.Generator().manual_seed(7))
    assert there.device.type == "cuda"
    off = (there.cpu() - here).abs() > 0.1  # grey values: a nearest pixel may be another one, at a tie
    assert off.double().mean() < 1e-3


def _in_little_memory(task: FoldTask, advance: Advance) -> None:
    torch.cuda.set_per_process_memory_fraction(0.001)
    train_fold(task, advance)


def test_memory_that_runs_out_names_the_batch(data: Path, tmp_path: Path) -> None:
    config = _ablation("resnet18", "fp32", augment="none").model_copy(update={"width": 1.0})
    task = _task(config, data, tmp_path / "fold-0")
    with pytest.raises(TasksFailed, match="out of memory with batches of 50"):
        run_tasks(_in_little_memory, [task], workers=1, label="test")
    assert not (tmp_path / "fold-0" / "record.json").exists()
    assert not (tmp_path / "fold-0" / CHECKPOINT).exists()


def test_a_training_that_diverges_is_named(data: Path, tmp_path: Path) -> None:
    task = _task(_ablation("cnn2", "bf16", learning_rate=1e30), data, tmp_path / "fold-0")
    with pytest.raises(TasksFailed, match=r"the loss is \w+ (in|after) epoch 1.*learning rate 1e\+30"):
        run_tasks(train_fold, [task], workers=1, label="test")


def test_a_diagnosed_training_has_the_weights_of_an_undiagnosed_one(data: Path, tmp_path: Path) -> None:
    plain = _ablation("resnet18", "bf16", augment="none")
    _run(plain, data, tmp_path / "plain")
    _run(plain.model_copy(update={"diagnose": True}), data, tmp_path / "diagnosed")
    weights, other = (tmp_path / each / "fold-0" / FILES[0] for each in ("plain", "diagnosed"))
    assert weights.read_bytes() == other.read_bytes()
    record = read_record(tmp_path / "diagnosed" / "fold-0")
    assert {"gradients.csv", "lags.csv"} <= set(record["files"])


def test_patterns_are_learned(data: Path, tmp_path: Path) -> None:
    plain = {"augment": "none", "patience": None, "options": {"dropout": 0.1}}
    _run(_ablation("cnn2", "bf16", epochs=15, **plain), data, tmp_path)
    held_out = read_npz(tmp_path / "fold-0" / "out_of_fold.npz")
    assert (held_out["probabilities"].argmax(axis=1) == held_out["labels"]).mean() > 0.95


def _stepped(step: Step, training_state: TrainingState, epochs: int = 2) -> list[float]:
    """Train some epochs whose last batch is a small one; return the norm of each gradient."""
    splits, fit_config = training_state.splits, replace(training_state.fit_config, diagnose=True)
    return [
        norm
        for number in range(1, epochs + 1)
        for norm in run_epoch(training_state.network, step, splits.train, fit_config, number)[2]
    ]


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_replayed_step_is_the_step(architecture: str) -> None:
    """420 samples in batches of 50: the last is done kernel by kernel, between replays, on a falling rate."""
    options = {} if architecture == "resnet18" else {"dropout": 0.0}
    config = _ablation(architecture, "fp32", patience=None, options=options, augment="affine", schedule="cosine")
    settle(config.hardware)
    norms, training_states = [], []
    for graphed in (False, True):
        training_state = assemble(config, make_dataset(420, seed=1), Selection(np.arange(420), np.arange(20)), seed=5)
        plain = partial(train_step, training_state.network, training_state.optimiser, config.hardware)
        step = step_of(training_state.network, training_state.optimiser, training_state.fit_config)
        assert isinstance(step, GraphedStep)
        norms.append(_stepped(step if graphed else plain, training_state))
        training_states.append(training_state)
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-3)
    assert len(norms[0]) == 18
    for name, value in training_states[0].network.state_dict().items():
        torch.testing.assert_close(training_states[1].network.state_dict()[name], value, rtol=1e-4, atol=1e-5, msg=name)


class _Waiting(torch.nn.Module):
    """A network whose forward pass asks the device for a value."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout, self.head = torch.nn.Dropout(0.1), torch.nn.Linear(784, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        flat = inputs.flatten(1)
        return self.head(self.dropout(flat) / max(float(flat.abs().max()), 1.0))


def test_a_network_that_waits_for_the_device_is_trained_with_a_warning() -> None:
    config = _ablation("mlp", "fp32", epochs=2, patience=None, augment="none")
    settle(config.hardware)
    training_state = assemble(config, make_dataset(420, seed=1), Selection(np.arange(420), np.arange(20)), seed=5)
    network = _Waiting().cuda()
    with pytest.warns(UserWarning, match="several times more slowly"):
        progress = fit(network, Adam(network, config.recipe), training_state.splits, training_state.fit_config)
    assert progress.history[-1].train.loss < progress.history[0].train.loss


def test_a_dropped_unit_is_drawn_anew_in_each_replay() -> None:
    """With a rate of 0 the weights stay, and only dropout makes the losses of one batch differ."""
    config = _ablation("mlp", "fp32", patience=None, options={"dropout": 0.5}, augment="none")
    settle(config.hardware)
    training_state = assemble(config, make_dataset(50, seed=1), Selection(np.arange(50), np.arange(20)), seed=5)
    step, part = (
        step_of(training_state.network, training_state.optimiser, training_state.fit_config),
        training_state.splits.train,
    )
    training_state.network.train()
    torch.manual_seed(1)
    losses = [step(training_state.fit_config.normalise(part.inputs), part.labels, 0.0)[0].item() for _ in range(5)]
    torch.manual_seed(1)
    again = [step(training_state.fit_config.normalise(part.inputs), part.labels, 0.0)[0].item() for _ in range(5)]
    assert len(set(losses)) == 5
    assert losses == again

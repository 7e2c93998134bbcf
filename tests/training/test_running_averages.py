"""Running averages against NumPy, and diagnosed trainings against plain ones: the same bits."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shearbench.analysis.batch_norm.statistics import warnings_of
from shearbench.data.dataset import Dataset
from shearbench.records import read_record
from shearbench.statistics.proportions import differ
from shearbench.training.checkpoint import CHECKPOINT
from shearbench.training.config import TrainingConfig, code_hash
from shearbench.training.crossval import FoldTask, cross_validate, train_fold
from shearbench.training.hardware import Hardware
from shearbench.training.state import gradient_norm, lags, layers_of, recalibrated, with_batch_statistics

Make = Callable[..., TrainingConfig]
SAME_BYTES = ("weights.safetensors", "out_of_fold.npz", "history.csv", "batches.csv")


@pytest.fixture
def network() -> nn.Module:
    """A layer whose inputs are the network's own, and one behind a dropout that must not draw."""
    return nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.5), nn.BatchNorm2d(2))


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randn(60, 2, 4, 4, generator=torch.Generator().manual_seed(1)) * 3 + 7


def test_recalibrated_averages_are_the_mean_over_the_batches(network: nn.Module, inputs: torch.Tensor) -> None:
    made = recalibrated(network, inputs.split(20), Hardware())
    layer = layers_of(made)["0"]
    batches = inputs.double().numpy().reshape(3, 20, 2, 16)
    np.testing.assert_allclose(layer.running_mean, batches.mean(axis=(1, 3)).mean(axis=0), rtol=1e-5)
    per_batch = batches.transpose(0, 2, 1, 3).reshape(3, 2, 320).var(axis=2, ddof=1)
    np.testing.assert_allclose(layer.running_var, per_batch.mean(axis=0), rtol=1e-5)
    assert layer.momentum == 0.1
    assert not any(module.training for module in made.modules())


def test_recalibrating_leaves_the_network_its_weights_and_the_random_state(
    network: nn.Module, inputs: torch.Tensor
) -> None:
    network.train()
    before, random = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    made = recalibrated(network, [inputs], Hardware())
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    torch.testing.assert_close(dict(made.named_parameters()), dict(network.named_parameters()), rtol=0, atol=0)
    assert torch.equal(random, torch.get_rng_state())
    assert network.training


def test_batch_statistics_are_those_of_training(network: nn.Module, inputs: torch.Tensor) -> None:
    layer = nn.Sequential(nn.BatchNorm2d(2))
    torch.testing.assert_close(with_batch_statistics(layer)(inputs), layer.train()(inputs))
    assert layers_of(layer)["0"].running_mean is not None


def test_a_lag_worked_out_by_hand() -> None:
    stale, present = nn.Sequential(nn.BatchNorm2d(2, eps=0)), nn.Sequential(nn.BatchNorm2d(2, eps=0))
    for made, mean, variance in ((stale, [0.0, 0.0], [1.0, 4.0]), (present, [3.0, 8.0], [9.0, 4.0])):
        layers_of(made)["0"].running_mean = torch.tensor(mean)
        layers_of(made)["0"].running_var = torch.tensor(variance)
    (lag,) = lags(stale, present)
    assert lag.layer == "0"
    assert lag.mean == pytest.approx(np.sqrt((1.0**2 + 4.0**2) / 2))  # shifts of 3/3 and 8/2 deviations
    assert lag.deviation == pytest.approx(np.sqrt((1 / 3) * 1))  # geometric mean of 1/3 and 2/2
    (none,) = lags(present, present)
    assert (none.mean, none.deviation) == (0, 1)


def test_the_gradient_norm_is_over_all_parameters() -> None:
    network = nn.Linear(2, 1)
    network.weight.grad, network.bias.grad = torch.tensor([[3.0, 4.0]]), torch.tensor([12.0])
    assert gradient_norm(network).item() == pytest.approx(13)


@pytest.fixture(scope="module")
def diagnosed(make_config: Make) -> TrainingConfig:
    return make_config(architecture="resnet18", width=0.05, epochs=2, batch=40, diagnose=True)


@pytest.fixture(scope="module")
def run(diagnosed: TrainingConfig, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("diagnosed")
    _train(diagnosed, data, out)
    return out / "fold-0"


def _train(config: TrainingConfig, data: Path, out: Path) -> None:
    cross_validate(config, dataset=data / "patterns", out=out, workers=1, only=[0])


def test_a_diagnosis_changes_no_bit(diagnosed: TrainingConfig, run: Path, data: Path, tmp_path: Path) -> None:
    _train(diagnosed.model_copy(update={"diagnose": False}), data, tmp_path)
    plain = tmp_path / "fold-0"
    for name in SAME_BYTES:
        assert (plain / name).read_bytes() == (run / name).read_bytes(), name
    assert not (plain / "lags.csv").exists()


def test_a_diagnosed_fold_records_every_batch_and_layer(run: Path) -> None:
    gradients, lines = (_rows(run / name) for name in ("gradients.csv", "lags.csv"))
    assert [(row["epoch"], row["batch"]) for row in gradients] == [
        (str(e), str(b)) for e in (1, 2) for b in range(1, 5)
    ]
    assert all(float(row["norm"]) > 0 for row in gradients)
    assert len(lines) == 2 * 20
    assert {row["layer"] for row in lines if row["epoch"] == "2"} >= {"bn1", "layer4.1.bn2"}
    assert all(float(row["mean"]) > 0 and float(row["deviation"]) > 0 for row in lines)
    modes, history, record = _rows(run / "modes.csv"), _rows(run / "history.csv"), read_record(run)
    assert [row["epoch"] for row in modes] == ["1", "2"]
    assert [row["as_trained"] for row in modes] == [row["validation_accuracy"] for row in history]  # under 1,000
    last = {key: float(value) for key, value in modes[-1].items() if key != "epoch"}
    assert record["batch_norm"] == last


def test_a_diagnosis_goes_on_from_a_checkpoint(
    diagnosed: TrainingConfig, run: Path, data: Path, tmp_path: Path
) -> None:
    hashes = {"config": diagnosed.config_hash, "code": code_hash(diagnosed)}
    out = tmp_path / "fold-0"
    task = FoldTask(diagnosed, 0, data / "patterns", out, hashes, checkpoint_seconds=0)

    def stop(_: int) -> None:
        if (out / CHECKPOINT).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_fold(task, stop)
    train_fold(task, lambda _: None)
    for name in (*SAME_BYTES, "gradients.csv", "lags.csv", "modes.csv"):
        assert (out / name).read_bytes() == (run / name).read_bytes(), name


def test_a_network_without_running_averages_has_gradients_and_no_lags(
    make_config: Make, data: Path, tmp_path: Path, dataset: Dataset
) -> None:
    _train(make_config(epochs=1, diagnose=True), data, tmp_path)
    assert len(_rows(tmp_path / "fold-0" / "gradients.csv")) == 8
    assert _rows(tmp_path / "fold-0" / "lags.csv") == []


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_record_warns_where_the_two_modes_differ_by_more_than_their_noise() -> None:
    record = {"dataset": "fields", "model": "deep", "fold": 0}
    measured = {"samples": 1000, "as_trained": 0.30, "batch_statistics": 0.92, "recalibrated": 0.93}
    (warning,) = warnings_of([{**record, "batch_norm": measured}, {**record, "batch_norm": None}, record])
    assert "fields-deep fold 0 predicts 30.0 % correctly in evaluation mode and 92.0 % in training mode" in warning
    assert "recalibrate" in warning
    near = {**measured, "as_trained": 0.90, "batch_statistics": 0.92}
    assert not warnings_of([{**record, "batch_norm": near}])


def test_three_standard_errors_worked_out_by_hand() -> None:
    """At 0.9 and n = 100 the standard error of a difference is sqrt(2 * 0.09 / 100) = 0.0424."""
    assert not differ(0.9, 0.9 - 0.12, 100)
    assert differ(0.9, 0.9 - 0.19, 100)
    assert not differ(1.0, 1.0, 10)

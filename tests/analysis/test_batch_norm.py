"""The three ways of reading, on a network whose answers can be worked out by hand."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from shearbench.analysis.batch_norm import predict
from shearbench.analysis.batch_norm.measure import running_averages
from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.training.hardware import Hardware
from shearbench.training.state import layers_of

PLAIN = Normaliser(np.zeros((1, 28, 28), np.float32), np.ones((1, 28, 28), np.float32))


class _Threshold(nn.Module):
    """Says 1 where the normalised first pixel is above 0, else 0."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, affine=False)
        self.head = nn.Linear(1, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        first = self.norm(inputs)[:, :, 0, 0]
        return torch.cat([-first, first, torch.full((len(first), 8), -1e9)], dim=1)


def _halves(n: int, first_id: int = 0) -> Dataset:
    """Samples with value 4 (class 0) and 8 (class 1), sorted by class, whose means are exact in float32."""
    labels = np.repeat([0, 1], n // 2)
    inputs = np.broadcast_to((4 + 4 * labels)[:, None, None, None], (n, 1, 28, 28)).astype(np.float32)
    return Dataset("halves", np.arange(first_id, first_id + n), inputs, labels.astype(np.int64))


def _accuracies(network: nn.Module, train: Dataset, test: Dataset) -> dict[str, float]:
    """Accuracy on ``test`` by batch-norm statistics."""
    predictors = predict.predictors_of(network, PLAIN, train.inputs, batch=20, hardware=Hardware())
    return {name: float((each(test.inputs).argmax(axis=1) == test.labels).mean()) for name, each in predictors.items()}


def test_stale_running_averages_hide_what_a_network_has_learned() -> None:
    """Fresh averages are mean 0 and variance 1, so that every sample, 4 or 8, is above the mean: half are wrong."""
    found = _accuracies(_Threshold().eval(), _halves(400), _halves(40, 400))
    assert found == {"as_trained": 0.5, "batch_statistics": 1.0, "recalibrated": 1.0}


def test_batches_are_shuffled_and_answers_come_in_the_order_of_the_samples() -> None:
    """In batches of one class every value is the mean and nothing could be told; shuffled, each batch has both."""
    network, data = _Threshold().eval(), _halves(200)
    predictors = predict.predictors_of(network, PLAIN, data.inputs, batch=20, hardware=Hardware())
    predicted = predictors["batch_statistics"](data.inputs)
    np.testing.assert_array_equal(predicted.argmax(axis=1), data.labels)


@pytest.mark.parametrize("count", [1, 19, 21, 101])
def test_no_batch_is_too_small_for_statistics_of_its_own(count: int) -> None:
    network = _Threshold().eval()
    data = _halves(2 * (count // 2 + 1))
    inputs = data.inputs[:count]
    predictors = predict.predictors_of(network, PLAIN, data.inputs, batch=20, hardware=Hardware())
    predicted = predictors["batch_statistics"](inputs)
    assert predicted.shape == (count, 10)
    assert np.isfinite(predicted).all()


def test_batches_of_two_leave_no_single_sample_over() -> None:
    """On maps of 1 x 1, as those of ResNet-18, torch refuses the statistics of one sample."""
    network = build("resnet18", inputs=Inputs(1), width=0.05, options={}, seed=1).eval()
    inputs = np.random.default_rng(0).normal(size=(5, 1, 28, 28)).astype(np.float32)
    predictors = predict.predictors_of(network, PLAIN, inputs, batch=2, hardware=Hardware())
    assert all(np.isfinite(each(inputs)).all() for each in predictors.values())


def test_the_network_is_left_as_it_is() -> None:
    network = build("resnet18", inputs=Inputs(1), width=0.05, options={}, seed=1).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    data = Dataset(
        "noise",
        np.arange(40),
        np.random.default_rng(0).normal(size=(40, 1, 28, 28)).astype(np.float32),
        np.arange(40) % 10,
    )
    found = _accuracies(network, data, data)
    torch.testing.assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert len(layers_of(network)) == 20
    assert set(found) == {"as_trained", "batch_statistics", "recalibrated"}


def test_the_probe_says_which_test_digits_each_way_reads() -> None:
    trained: Any = SimpleNamespace(
        network=_Threshold().eval(),
        predictor=_Threshold().eval(),
        record={"config": {"recipe": {"batch": 20}}},
        normaliser=PLAIN,
        train=_halves(60),
        test=_halves(40, 60),
        hardware=Hardware(),
    )
    measured = running_averages(trained)
    assert {name: correct.tolist() for name, correct in measured.arrays.items()} == {
        "correct_batch_statistics": [True] * 40,
        "correct_recalibrated": [True] * 40,
    }
    assert measured.facts == {"calibration": 60}
    plain = SimpleNamespace(network=nn.Linear(1, 1))
    assert running_averages(cast(Any, plain)).facts == {"skipped": "no batch normalisation"}


def test_a_network_without_batch_normalisation_reads_in_one_way() -> None:
    network = build("cnn2", inputs=Inputs(1), width=0.1, options={}, seed=1).eval()
    data = _halves(20)
    assert set(_accuracies(network, data, data)) == {"as_trained"}


def test_at_most_so_many_training_samples_are_drawn_always_the_same() -> None:
    rows = np.arange(5, 5 + 3 * predict.CALIBRATION)
    drawn = predict.drawn_from(rows)
    assert len(drawn) == len(np.unique(drawn)) == predict.CALIBRATION
    assert np.isin(drawn, rows).all()
    np.testing.assert_array_equal(drawn, predict.drawn_from(rows))

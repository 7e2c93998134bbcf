"""Networks come back as they were stored, and predictions are those of the definition."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from shearbench.data.dataset import Dataset
from shearbench.errors import InputError
from shearbench.records import write_record
from shearbench.training.experiment import Experiment, Selection, Trainee, assemble
from shearbench.training.loop import fit
from shearbench.training.weights import WEIGHTS, load_network, predict, write_weights


@pytest.fixture(params=["mlp", "cnn2", "resnet18"])
def experiment(request: pytest.FixtureRequest, make_experiment: Callable[..., Experiment]) -> Experiment:
    entry = {"source": "mnist", "channels": 1, "normalise": "pixel"}
    return make_experiment(architecture=request.param, width=0.1, epochs=1, entry=entry)


@pytest.fixture
def trainee(experiment: Experiment, dataset: Dataset) -> Trainee:
    trainee = assemble(experiment, dataset, Selection(np.arange(100)), seed=5)
    fit(trainee.network, trainee.optimiser, trainee.parts, trainee.setting)
    return trainee


def _write(folder: Path, trainee: Trainee, experiment: Experiment) -> None:
    files = {WEIGHTS: lambda path: write_weights(path, trainee.network, trainee.normaliser)}
    write_record(folder, {"config": experiment.config}, files)


def test_a_loaded_network_predicts_the_same_bits(
    trainee: Trainee, experiment: Experiment, dataset: Dataset, tmp_path: Path
) -> None:
    _write(tmp_path, trainee, experiment)
    network, normaliser, record = load_network(tmp_path)
    assert record["config"] == experiment.config
    assert not network.training
    assert normaliser.mean.tobytes() == trainee.normaliser.mean.tobytes()
    assert normaliser.scale.tobytes() == trainee.normaliser.scale.tobytes()
    loaded = predict(network, dataset.inputs, normaliser=normaliser)
    kept = predict(trainee.network, dataset.inputs, normaliser=trainee.normaliser)
    assert loaded.tobytes() == kept.tobytes()


def test_weights_that_changed_are_refused(trainee: Trainee, experiment: Experiment, tmp_path: Path) -> None:
    _write(tmp_path, trainee, experiment)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match="is not the file that its record was written with"):
        load_network(tmp_path)


def test_predictions_are_the_softmax_of_the_network_on_normalised_inputs(trainee: Trainee, dataset: Dataset) -> None:
    probabilities = predict(trainee.network, dataset.inputs, normaliser=trainee.normaliser)
    with torch.no_grad():
        logits = trainee.network(torch.from_numpy(trainee.normaliser.apply(dataset.inputs))).double().numpy()
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (240, 10)


@pytest.mark.parametrize("batch", [1, 7, 240])
def test_a_prediction_does_not_depend_on_its_batch(trainee: Trainee, dataset: Dataset, batch: int) -> None:
    inputs = dataset.inputs[:30]
    one, other = (predict(trainee.network, inputs, normaliser=trainee.normaliser, batch=size) for size in (30, batch))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_bf16_predicts_within_its_rounding(trainee: Trainee, dataset: Dataset) -> None:
    exact = predict(trainee.network, dataset.inputs, normaliser=trainee.normaliser)
    rounded = predict(trainee.network, dataset.inputs, normaliser=trainee.normaliser, precision="bf16")
    np.testing.assert_allclose(rounded, exact, atol=0.05)


def test_a_network_can_be_trained_on_after_a_prediction(trainee: Trainee, dataset: Dataset) -> None:
    predict(trainee.network, dataset.inputs, normaliser=trainee.normaliser)
    progress = fit(trainee.network, trainee.optimiser, trainee.parts, trainee.setting)
    assert len(progress.history) == 1


def test_no_inputs_give_no_predictions(trainee: Trainee, dataset: Dataset) -> None:
    assert predict(trainee.network, dataset.inputs[:0], normaliser=trainee.normaliser).shape == (0, 10)

"""Networks come back as they were stored, and predictions are those of the definition."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from shearbench.data.dataset import Dataset
from shearbench.errors import InputError
from shearbench.records import write_record
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble
from shearbench.training.loop import fit
from shearbench.training.results import WEIGHTS, load_network, predict, write_weights


@pytest.fixture(params=["mlp", "cnn2", "resnet18"])
def config(request: pytest.FixtureRequest, make_config: Callable[..., TrainingConfig]) -> TrainingConfig:
    entry = {"source": "mnist", "channels": 1, "normalise": "pixel"}
    return make_config(architecture=request.param, width=0.1, epochs=1, entry=entry)


@pytest.fixture
def training_state(config: TrainingConfig, dataset: Dataset) -> TrainingState:
    training_state = assemble(config, dataset, Selection(np.arange(100), np.arange(100, 120)), seed=5)
    fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
    return training_state


def _write(folder: Path, training_state: TrainingState, config: TrainingConfig) -> None:
    files = {WEIGHTS: lambda path: write_weights(path, training_state.network, training_state.normaliser)}
    write_record(folder, {"config": config.config, "classes": [str(label) for label in range(10)]}, files)


def test_a_loaded_network_predicts_the_same_bits(
    training_state: TrainingState, config: TrainingConfig, dataset: Dataset, tmp_path: Path
) -> None:
    _write(tmp_path, training_state, config)
    network, normaliser, record = load_network(tmp_path)
    assert record["config"] == config.config
    assert not network.training
    assert normaliser.mean.tobytes() == training_state.normaliser.mean.tobytes()
    assert normaliser.scale.tobytes() == training_state.normaliser.scale.tobytes()
    loaded = predict(network, dataset.inputs, normaliser=normaliser)
    kept = predict(training_state.network, dataset.inputs, normaliser=training_state.normaliser)
    assert loaded.tobytes() == kept.tobytes()


def test_weights_that_changed_are_refused(
    training_state: TrainingState, config: TrainingConfig, tmp_path: Path
) -> None:
    _write(tmp_path, training_state, config)
    content = bytearray((tmp_path / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match="is not the file that its record was written with"):
        load_network(tmp_path)


def test_predictions_are_the_softmax_of_the_network_on_normalised_inputs(
    training_state: TrainingState, dataset: Dataset
) -> None:
    probabilities = predict(training_state.network, dataset.inputs, normaliser=training_state.normaliser)
    with torch.no_grad():
        logits = (
            training_state.network(torch.from_numpy(training_state.normaliser.apply(dataset.inputs))).double().numpy()
        )
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (240, 10)


@pytest.mark.parametrize("batch", [1, 7, 240])
def test_a_prediction_does_not_depend_on_its_batch(training_state: TrainingState, dataset: Dataset, batch: int) -> None:
    inputs = dataset.inputs[:30]
    one, other = (
        predict(training_state.network, inputs, normaliser=training_state.normaliser, batch=size)
        for size in (30, batch)
    )
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_bf16_predicts_within_its_rounding(training_state: TrainingState, dataset: Dataset) -> None:
    exact = predict(training_state.network, dataset.inputs, normaliser=training_state.normaliser)
    rounded = predict(training_state.network, dataset.inputs, normaliser=training_state.normaliser, precision="bf16")
    np.testing.assert_allclose(rounded, exact, atol=0.05)


def test_a_network_can_be_trained_on_after_a_prediction(training_state: TrainingState, dataset: Dataset) -> None:
    predict(training_state.network, dataset.inputs, normaliser=training_state.normaliser)
    progress = fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
    assert len(progress.history) == 1


def test_no_inputs_give_no_predictions(training_state: TrainingState, dataset: Dataset) -> None:
    assert predict(training_state.network, dataset.inputs[:0], normaliser=training_state.normaliser).shape == (0, 10)

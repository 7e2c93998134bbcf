"""The files of a trained fold: weights, metrics and predictions of the best weights, history and batch losses as CSV.

``load_network`` reads the weights with their normalisation, ``predict`` gives the probabilities of a network.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from shearbench.data.dataset import Dataset
from shearbench.data.normalise import Normaliser
from shearbench.errors import InputError
from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.records import csv_of, read_record, write_bytes, write_npz, write_text
from shearbench.training.config import Selection, TrainingState
from shearbench.training.hardware import Device, Hardware, Precision, naming_the_batch
from shearbench.training.loop import EVALUATION_BATCH, diagnose, evaluate
from shearbench.training.state import Lag, Modes, Progress, Score

HISTORY, BATCHES, OUT_OF_FOLD = "history.csv", "batches.csv", "out_of_fold.npz"
GRADIENTS, LAGS, MODES = "gradients.csv", "lags.csv", "modes.csv"  # only with `diagnose`
LEAST_PROBABILITY = float(np.finfo(np.float32).tiny)  # limits the loss of a probability that underflowed to 0
_SCORES = [f"{part}_{score.name}" for part in ("train", "validation", "inner") for score in fields(Score)]

Predictions = dict[str, NDArray[Any]]
"""``ids`` and ``labels`` (n,), ``probabilities`` float32 (n, classes)."""
Files = dict[str, Callable[[Path], None]]
"""The writers of files by name."""
WEIGHTS = "weights.safetensors"
ESTIMATOR = "estimator.skops"
"""The files of a fold with the weights of a network or the classifier of scikit-learn."""
_MEAN, _SCALE = "normalise.mean", "normalise.scale"


def predictions_of(dataset: Dataset, rows: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Predictions:
    """Return the predictions of some rows of a dataset, as they are stored."""
    return {"ids": dataset.ids[rows], "labels": dataset.labels[rows], "probabilities": probabilities}


def held_out(training_state: TrainingState, dataset: Dataset, rows: NDArray[np.int64]) -> Predictions:
    """Return the out-of-fold predictions of a network."""
    network, device = training_state.network, training_state.fit_config.hardware.device
    probabilities = predict(network, dataset.inputs[rows], normaliser=training_state.normaliser, device=device)
    return predictions_of(dataset, rows, probabilities)


def facts(
    training_state: TrainingState, rows: Selection, progress: Progress, predictions: Predictions
) -> dict[str, Any]:
    """Return the measured part of a fold's record except its cost.

    The held-out samples are scored in fp32, from the stored predictions. The training part, which is many times larger,
    is scored in the precision of the training.
    """
    network, splits, fit_config = training_state.network, training_state.splits, training_state.fit_config
    train = evaluate(network, splits.train, fit_config, progress.chosen_epoch)
    if fit_config.diagnose:
        modes = progress.history[progress.chosen_epoch - 1].modes  # of the same weights
    else:
        _, modes = diagnose(network, splits, fit_config)
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "epochs": len(progress.history),
        "best_epoch": progress.chosen_epoch,
        "batch_norm": asdict(modes) if modes else None,
        **metrics_and_sizes(rows, train, score(predictions["probabilities"], predictions["labels"])),
    }


def metrics_and_sizes(rows: Selection, train: Score, validation: Score) -> dict[str, Any]:
    """Return the part of a fold's record that networks and classifiers share."""
    inner = 0 if rows.inner is None else len(rows.inner)
    return {
        "metrics": {
            f"{part}_{name}": value
            for part, measured in (("train", train), ("validation", validation))
            for name, value in asdict(measured).items()
        },
        "sizes": {"train": len(rows.train), "inner": inner, "validation": len(rows.validation)},
    }


def files(training_state: TrainingState, progress: Progress, predictions: Predictions) -> Files:
    """Return the writers of the files beside a record; equal trainings write equal bytes."""
    return {
        WEIGHTS: lambda path: write_weights(path, training_state.network, training_state.normaliser),
        OUT_OF_FOLD: lambda path: write_npz(path, predictions),
        **tables(progress, diagnosed=training_state.fit_config.diagnose),
    }


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Score:
    """Return mean cross-entropy and accuracy of probabilities (n, classes) for labels (n,)."""
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    hits = probabilities.argmax(axis=1) == labels
    return Score(float(-np.log(np.maximum(given, LEAST_PROBABILITY)).mean()), float(hits.mean()))


def tables(progress: Progress, *, diagnosed: bool) -> Files:
    """Return the writers of the CSV files: floats in full precision, epochs and batches counted from 1."""
    history = progress.history
    found: dict[str, list[Sequence[Any]]] = {
        HISTORY: [
            ("epoch", *_SCORES, "learning_rate"),
            *(
                (each.number, *_values(each.train), *_values(each.validation), *_values(each.inner), each.learning_rate)
                for each in history
            ),
        ],
        BATCHES: [("epoch", "batch", "loss"), *_by_batch(progress.batch_losses)],
    }
    if diagnosed:
        found |= {
            GRADIENTS: [("epoch", "batch", "norm"), *_by_batch(epoch.gradient_norms for epoch in history)],
            LAGS: [_header(Lag), *((epoch.number, *astuple(lag)) for epoch in history for lag in epoch.lags)],
            MODES: [_header(Modes), *((epoch.number, *astuple(epoch.modes)) for epoch in history if epoch.modes)],
        }
    return {name: partial(write_text, content=csv_of(lines)) for name, lines in found.items()}


def _header(columns: type[Lag] | type[Modes]) -> list[str]:
    return ["epoch", *(field.name for field in fields(columns))]


def _values(measured: Score | None) -> tuple[Any, ...]:
    return ("", "") if measured is None else astuple(measured)


def _by_batch(values: Iterable[Sequence[float]]) -> list[Sequence[Any]]:
    return [(epoch, batch, value) for epoch, of in enumerate(values, 1) for batch, value in enumerate(of, 1)]


def write_weights(path: Path, network: nn.Module, normaliser: Normaliser) -> None:
    """Write the state of a network and its normaliser; equal values give equal bytes."""
    tensors = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    tensors |= {_MEAN: torch.from_numpy(normaliser.mean), _SCALE: torch.from_numpy(normaliser.scale)}
    write_bytes(path, save(tensors))


def load_network(run_folder: Path) -> tuple[nn.Module, Normaliser, dict[str, Any]]:
    """Load a fold's network, in evaluation mode on the CPU, with its normaliser and its record.

    A classifier of scikit-learn is wrapped in a :class:`shearbench.training.classifier.Classifier`.

    Raises:
        InputError: if the record is missing, if a file differs from its hash in the record, or if the weights
            belong to another network.
    """
    record = read_record(run_folder)
    config = record["config"]
    if config["recipe"] is None:
        from shearbench.training.classifier import as_network, load_pipeline  # imports scikit-learn

        pipeline = load_pipeline(run_folder, config["architecture"])
        return *as_network(pipeline, len(record["classes"])), record
    try:
        tensors = load_file(run_folder / WEIGHTS)
        normaliser = Normaliser(tensors.pop(_MEAN).numpy(), tensors.pop(_SCALE).numpy())
        network = build(
            config["architecture"],
            inputs=Inputs(len(normaliser.mean), len(record["classes"]), normaliser.mean.shape[1:]),
            width=config["width"],
            options=config["options"],
            seed=0,  # every weight is replaced
        )
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, RuntimeError) as error:  # a damaged file, or tensors of other names or shapes
        raise InputError(
            f"{run_folder / WEIGHTS} does not hold the network of its record ({error!s:.300}); "
            f"remove {run_folder} and run `dvc repro`"
        ) from None
    return network.eval(), normaliser, record


def predict(
    network: nn.Module,
    inputs: NDArray[Any],
    *,
    normaliser: Normaliser,
    batch: int = EVALUATION_BATCH,
    device: Device = "cpu",
    precision: Precision = "fp32",
) -> NDArray[np.float32]:
    """Return probabilities float32 (n, classes) for inputs (n, channels, height, width) that are not normalised.

    The network is moved to ``device`` and put in evaluation mode. Stored predictions are computed in fp32,
    whatever the precision of the training.

    Raises:
        InputError: if memory runs out.
    """
    hardware = Hardware(device, precision)
    network = hardware.place(network).eval()
    mean, scale = (torch.from_numpy(array).to(device) for array in (normaliser.mean, normaliser.scale))
    probabilities = []
    with naming_the_batch(batch), torch.inference_mode():
        for start in range(0, max(len(inputs), 1), batch):
            rows = slice(start, start + batch)
            with hardware.autocast():
                logits = network((torch.from_numpy(inputs[rows]).to(device, torch.float32) - mean) / scale)
            probabilities.append(logits.float().softmax(dim=1).cpu().numpy())
    return np.concatenate(probabilities)

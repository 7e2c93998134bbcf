"""Weights of a network with their normalisation, stored as safetensors; ``predict`` gives its probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from shearbench.data.normalise import Normaliser
from shearbench.errors import InputError
from shearbench.models import build
from shearbench.models.inputs import Inputs
from shearbench.records import read_record, write_bytes
from shearbench.training.hardware import Device, Hardware, Precision, naming_the_batch
from shearbench.training.loop import EVALUATION_BATCH

WEIGHTS = "weights.safetensors"
ESTIMATOR = "estimator.skops"
"""The files of a fold with the weights of a network or the classifier of scikit-learn."""
_MEAN, _SCALE = "normalise.mean", "normalise.scale"


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

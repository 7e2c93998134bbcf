"""The readers that ship with the package: small networks that classify handwritten digits without further training.

``load`` checks their hashes and returns one :class:`Readers`. Its ``probabilities`` are the mean over all networks; a
doubtful image is classified in several views (test-time augmentation). ``predict`` applies the temperature and the
threshold, which were measured on digits of held-out writers. ``reader_training`` trains the readers.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional

from shearbench.comparison.champion import Prediction, Trust, trusted_predictions
from shearbench.data.handwritten import CLASSES, SIDE
from shearbench.data.normalise import Normaliser
from shearbench.errors import InputError
from shearbench.models import build
from shearbench.models.interface import Inputs
from shearbench.predictions.calibration import apply_temperature
from shearbench.predictions.scores import LEAST_PROBABILITY
from shearbench.training.hardware import Hardware

Images = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

FOLDER = Path(__file__).with_name("weights")
RECORD = "readers.json"
WHITE = 255.0
_BATCH = 200  # views at a time
SURE = 0.99
"""Largest mean probability of the unchanged image from which on no further views are used."""

VIEWS = (
    # shift right, shift down (pixels), slant (share of the height), width
    (0.0, 0.0, 0.0, 1.0),
    (0.7, 0.0, 0.0, 1.0),
    (-0.7, 0.0, 0.0, 1.0),
    (0.0, 0.7, 0.0, 1.0),
    (0.0, -0.7, 0.0, 1.0),
    (0.0, 0.0, 0.15, 1.0),
    (0.0, 0.0, -0.15, 1.0),
    (0.0, 0.0, 0.0, 0.88),
    (0.0, 0.0, 0.0, 1.12),
)
"""Views of an image: unchanged, moved, slanted, narrower and wider."""


@dataclass(frozen=True, eq=False)
class Readers:
    """The networks by name, in evaluation mode, and the calibration of their mean probabilities."""

    networks: dict[str, nn.Module]
    trust: Trust
    record: dict[str, Any]

    def probabilities(self, images: Images, *, views: bool = True) -> Probabilities:
        """Return probabilities (n, 10) of prepared images (n, 28, 28), before any temperature."""
        mean = _mean(self.by_network(images, views=False))
        doubtful = mean.max(axis=1, initial=0) < SURE
        if views and doubtful.any():
            mean[doubtful] = _mean(self.by_network(images[doubtful]))
        return mean

    @torch.inference_mode()
    def by_network(self, images: Images, *, views: bool = True) -> dict[str, Probabilities]:
        """Return each network's predictions for prepared images (n, 28, 28): name -> probabilities (n, 10)."""
        shown = VIEWS if views else VIEWS[:1]
        results = {name: np.zeros((len(images), CLASSES), np.float32) for name in self.networks}
        step = max(1, _BATCH // len(shown))
        for start in range(0, len(images), step):
            inputs = as_inputs(images[start : start + step])
            seen = torch.cat([viewed(inputs, *view) for view in shown])
            for name, network in self.networks.items():
                probabilities = network(seen).softmax(dim=1).reshape(len(shown), -1, CLASSES).mean(dim=0)
                results[name][start : start + step] = probabilities.numpy()
        return results

    def predict(self, images: Images) -> list[tuple[Prediction, NDArray[np.float64]]]:
        """Return the prediction and the calibrated probabilities (10,) of each prepared image (n, 28, 28)."""
        raw = self.probabilities(images)
        return list(
            zip(trusted_predictions(raw, self.trust), apply_temperature(raw, self.trust.temperature), strict=True)
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Names, hashes and calibration of the readers, ready for JSON."""
        hashes = {one["name"]: one["sha256"] for one in self.record["readers"]}
        return {"readers": list(self.networks), "weights": hashes, "views": len(VIEWS), **asdict(self.trust)}


def _mean(predictions: dict[str, Probabilities]) -> Probabilities:
    return np.asarray(np.mean(list(predictions.values()), axis=0, dtype=np.float32))


@cache
def load(folder: Path = FOLDER) -> Readers:
    """Load the readers of a folder, each checked against its hash.

    Raises:
        InputError: if a file is missing or differs from its hash in the record.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        networks = {one["name"]: network_of(folder, one) for one in record["readers"]}
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"the readers in {folder} are damaged ({error!s:.200}); install shearbench again, or run "
            "`git checkout src/shearbench/handwriting/weights`"
        ) from None
    return Readers(networks, Trust(**record["trust"]), record)


def network_of(folder: Path, facts: dict[str, Any]) -> nn.Module:
    content = (folder / facts["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise ValueError(f"{facts['file']} has another hash than its record")
    network = build(facts["architecture"], inputs=Inputs(1), width=facts["width"], options=facts["options"], seed=0)
    network.load_state_dict({name: tensor.float() for name, tensor in load_tensors(content).items()})
    return Hardware("cpu", "fp32").place(network).eval()


def as_inputs(images: Images) -> Tensor:
    """Return images uint8 (n, 28, 28) as inputs of the networks: float32 (n, 1, 28, 28), 0 to 1."""
    return torch.from_numpy(np.array(images))[:, None].float() / WHITE


def viewed(inputs: Tensor, right: float, down: float, slant: float, width: float) -> Tensor:
    """Return inputs (n, 1, 28, 28) moved by pixels, slanted to the right and made wider, about their centre."""
    if (right, down, slant, width) == VIEWS[0]:
        return inputs
    half = inputs.shape[-1] / 2
    theta = torch.tensor([[1 / width, slant, -right / half], [0.0, 1.0, -down / half]])
    grid = functional.affine_grid(theta.expand(inputs.shape[0], 2, 3), list(inputs.shape), align_corners=False)
    return functional.grid_sample(inputs, grid, align_corners=False)


class Served(nn.Module):
    """For export: raw inputs float32 (n, channels, height, width) to calibrated probabilities (n, classes)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, normaliser: Normaliser, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature
        self.register_buffer("mean", torch.from_numpy(normaliser.mean))
        self.register_buffer("scale", torch.from_numpy(normaliser.scale))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the probability of each class; RuntimeError for an input that is not finite, as JSON has no NaN."""
        torch._assert_async(torch.isfinite(inputs).all(), "every input must be a finite number")
        logits: Tensor = self.network((inputs - self.mean) / self.scale)
        probabilities = (logits / self.temperature).softmax(dim=1)
        return probabilities


class Together(nn.Module):
    """All readers as one network: images float32 (n, 1, 28, 28), 0 to 1 -> log probabilities (n, 10)."""

    def __init__(self, readers: Readers) -> None:
        super().__init__()
        self.networks = nn.ModuleList(readers.networks.values())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logarithm of :meth:`Readers.probabilities`."""
        shown = [viewed(inputs, *view) for view in VIEWS]
        every = torch.stack([network(view).softmax(dim=1) for view in shown for network in self.networks])
        first = every[: len(self.networks)].mean(dim=0)
        mean = torch.where(first.amax(dim=1, keepdim=True) >= SURE, first, every.mean(dim=0))
        return mean.clamp(min=LEAST_PROBABILITY).log()


def served(readers: Readers) -> Served:
    """Return the readers for MLflow: prepared images float32 (n, 1, 28, 28), 0 to 255 -> probabilities (n, 10)."""
    pixels = Normaliser(*(np.full((1, SIDE, SIDE), value, np.float32) for value in (0, WHITE)))
    return Served(Together(readers), pixels, readers.trust.temperature)


def explain(readers: Readers, images: Images, digits: Sequence[int]) -> NDArray[np.float32]:
    """Return Grad-CAM maps (n, 28, 28), 0 to 1, for the given digits, the mean over the networks."""
    from shearbench.analysis.gradcam.measure import attribute  # importing captum takes a second

    inputs, labels = as_inputs(images), torch.tensor(list(digits))
    return np.asarray(np.mean([attribute(each, inputs, labels).maps for each in readers.networks.values()], axis=0))

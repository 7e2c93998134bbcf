"""Compute Grad-CAM or saliency maps, and measure whether they mark the pixels that the network needs.

Grad-CAM is computed by captum on the last feature map with spatial resolution; saliency without one.

Grad-CAM: Selvaraju et al., ICCV 2017. Feature maps are taken after the activation: before batch normalisation or beside
a shortcut, a constant can shift a channel without any change of the output. A map is float32 (28, 28), scaled
to a maximum of 1; all zero means that no part of the layer is evidence *for* the class. The network must be in
evaluation mode, on the CPU, and not inside ``torch.inference_mode``, which has no gradients.

Deletion removes pixels from an input, insertion adds them to an empty one, those with the largest weight in the map
first. With a map of the evidence, the network's probability of the true class falls early (rises early). A random map
of the same resolution is the reference without guidance. Source: Petsiuk, Das and Saenko, RISE, BMVC 2018, section 4.1.
They fill with grey or blur; the fill here is the input without a digit: a black image, the displacement of the empty
block.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from shearbench.analysis.evaluation import Measured
from shearbench.analysis.layers import layer_calls
from shearbench.analysis.trained import TrainedModel
from shearbench.seeds import generator_for

_POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool2d)
LEAST_SIDE = 4
"""In pixels. A map of 2 x 2 can mark a quarter of the image, but no stroke."""
STEPS = 14
"""Number of steps of equally many pixels: 56 of 784."""
Maps = NDArray[np.float32]


def gradcam(trained: TrainedModel) -> Measured:
    """Explain the true class of the explained samples: ``seen`` (m, channels, 28, 28) and ``maps`` (m, 28, 28)."""
    rows = list(trained.explained)
    seen = trained.seen(trained.test.inputs[rows])
    found = attribute(trained.network, seen, torch.from_numpy(trained.test.labels[rows]))
    facts = {
        "method": found.method,
        "layer": found.layer,
        "resolution": list(found.resolution),
        "skipped": found.skipped,
        "ids": [int(each) for each in trained.test.ids[rows]],
    }
    return Measured({"seen": seen.numpy(), "maps": found.maps}, facts)


@dataclass(frozen=True, eq=False)
class Attribution:
    """Maps of one network.

    ``maps`` float32 (n, 28, 28), 0 to 1; ``layer`` and its map's ``resolution`` (height, width) for Grad-CAM;
    ``skipped`` is the reason for no Grad-CAM, or empty.
    """

    method: Literal["grad-cam", "saliency"]
    layer: str
    resolution: tuple[int, int]
    skipped: str
    maps: NDArray[np.float32]


def attribute(network: nn.Module, inputs: Tensor, targets: Tensor) -> Attribution:
    """Explain the score of class ``targets`` (n,) for normalised ``inputs`` float32 (n, channels, 28, 28)."""
    from captum.attr import LayerAttribution, LayerGradCam, Saliency  # takes a second to load

    assert not network.training, "batch normalisation in training mode would mix the samples of the batch"
    size = (int(inputs.shape[-2]), int(inputs.shape[-1]))
    found = last_feature_map(network, inputs[:1])
    if found is None:
        maps = Saliency(network).attribute(inputs.clone().requires_grad_(), target=targets).amax(dim=1)
        reason = f"no feature map of at least {LEAST_SIDE} x {LEAST_SIDE}; saliency |d score / d input| instead"
        return Attribution("saliency", "input", size, reason, _scaled(maps))
    name, module, resolution = found
    maps = LayerGradCam(network, module).attribute(inputs, target=targets, relu_attributions=True)
    maps = LayerAttribution.interpolate(maps, size, interpolate_mode="bilinear")[:, 0]
    return Attribution("grad-cam", name, resolution, "", _scaled(maps))


def last_feature_map(network: nn.Module, example: Tensor) -> tuple[str, nn.Module, tuple[int, int]] | None:
    """Return name, module and map size of the last module with an output map of at least 4 x 4, or None.

    The module is the activation after the last convolution at that resolution, or the block that contains them. It is
    never a pooling.
    """
    heard = layer_calls(network, example, nn.Module)
    first = next((place for place, each in enumerate(heard) if isinstance(each.module, nn.Conv2d)), len(heard))
    found = [
        each
        for each in heard[first:]
        if each.left.ndim == 4 and min(each.left.shape[-2:]) >= LEAST_SIDE and not isinstance(each.module, _POOLINGS)
    ]
    if not found:
        return None
    height, width = found[-1].left.shape[-2:]
    return found[-1].name, found[-1].module, (int(height), int(width))


def _scaled(maps: Tensor) -> NDArray[np.float32]:
    """Return each map divided by its maximum; an all-zero map stays zero."""
    values: NDArray[np.float32] = maps.detach().numpy().astype(np.float32)
    largest = values.max(axis=(1, 2), keepdims=True)
    scaled: NDArray[np.float32] = np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)
    return scaled


def explanation(trained: TrainedModel) -> Measured:
    """Explain the true class of the measured samples, and measure its probability at each step.

    Returns:
        ``rows`` (m,), ``maps`` and ``random_maps`` (m, 28, 28), and the curves ``deletion``, ``insertion``,
        ``random_deletion``, ``random_insertion`` (m, 15): probability after 0, 1, ... 14 steps.
    """
    rows = trained.measured
    inputs, labels = trained.test.inputs[rows], trained.test.labels[rows]
    found = attribute(trained.network, trained.seen(inputs), torch.from_numpy(labels))
    generator = generator_for(trained.record["seed"], "evaluate", "explanation")
    ties = generator.random((len(rows), inputs[0, 0].size))
    arrays: dict[str, NDArray[np.float32]] = {"maps": found.maps}
    arrays["random_maps"] = random_maps(len(rows), found.resolution, inputs.shape[-2:], generator)
    for prefix, maps in (("", found.maps), ("random_", arrays["random_maps"])):
        ranks = ranks_of(maps, ties)
        for name, start, end in (("deletion", inputs, trained.blank), ("insertion", trained.blank, inputs)):
            arrays[prefix + name] = curve(trained, labels, ranks, start, end)
    return Measured({"rows": rows, **arrays}, {"method": found.method, "layer": found.layer, "steps": STEPS})


def random_maps(
    n: int, resolution: tuple[int, int], size: tuple[int, ...], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``n`` maps of uniform noise at ``resolution``, interpolated to ``size`` like Grad-CAM's: (n, *size)."""
    coarse = torch.from_numpy(generator.random((n, 1, *resolution), dtype=np.float32))
    fine: NDArray[np.float32] = interpolate(coarse, size, mode="bilinear")[:, 0].numpy()
    return fine


def ranks_of(maps: Maps, ties: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the rank of each pixel by falling weight, (m, pixels); random ``ties`` (m, pixels) break ties.

    Without random ties, the zero pixels of a map would be replaced from the top.
    """
    order = np.lexsort((ties, -maps.reshape(ties.shape)))
    return np.argsort(order, axis=1)


def curve(
    trained: TrainedModel, labels: NDArray[np.int64], ranks: NDArray[np.int64], start: NDArray[Any], end: NDArray[Any]
) -> NDArray[np.float32]:
    """Return the probability of ``labels`` as pixels of ``start`` are replaced by those of ``end``, (m, steps + 1).

    ``start`` and ``end`` are (m, channels, h, w) or (channels, h, w), not normalised; ``ranks`` (m, pixels).
    """
    steps = np.arange(STEPS + 1)[:, np.newaxis, np.newaxis] * ranks.shape[1] / STEPS
    taken = (ranks < steps).reshape(STEPS + 1, len(labels), 1, *start.shape[-2:])
    made = np.where(taken, end, start)  # (steps + 1, m, channels, h, w)
    probabilities = trained.probabilities(made.reshape(-1, *made.shape[2:])).reshape(*made.shape[:2], -1)
    return probabilities[:, np.arange(len(labels)), labels].T

"""Measure whether an attribution map marks the pixels that the network needs: deletion and insertion.

Deletion removes pixels from an input, insertion adds them to an empty one, those with the largest weight in the map
first. With a map of the evidence, the network's probability of the true class falls early (rises early). A random map
of the same resolution is the reference without guidance.

Source: Petsiuk, Das and Saenko, RISE, BMVC 2018, section 4.1. They fill with grey or blur; the fill here is the
input without a digit: a black image, the displacement of the empty block.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from shearbench.analysis.gradcam.measure import attribute
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.seeds import generator_for

STEPS = 14
"""Number of steps of equally many pixels: 56 of 784."""
Maps = NDArray[np.float32]


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

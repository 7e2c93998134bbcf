"""Measure whether an attribution map marks the pixels that the network needs: deletion and insertion.

Pixels are taken away from an input (or put into an empty one), those first to which the map gives most weight, and the
network's probability of the true class is followed. A map that points at the evidence makes it fall soon (rise soon).
A random map of the same resolution says what the same network would do without guidance.

Source: Petsiuk, Das and Saenko, RISE, BMVC 2018, section 4.1. Where they fill with grey or blur, the fill here is the
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
"""Of equally many pixels: 56 of 784."""
Maps = NDArray[np.float32]


def explanation(trained: TrainedModel) -> Measured:
    """Explain the true class of the measured digits, and follow its probability.

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
    """Return ``n`` maps of uniform noise at ``resolution``, brought to ``size`` as Grad-CAM's are: (n, *size)."""
    coarse = torch.from_numpy(generator.random((n, 1, *resolution), dtype=np.float32))
    fine: NDArray[np.float32] = interpolate(coarse, size, mode="bilinear")[:, 0].numpy()
    return fine


def ranks_of(maps: Maps, ties: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each pixel in the order of falling weight, (m, pixels); ``ties`` (m, pixels) break ties.

    Where a map is zero, an order by place would take the picture away from the top.
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
    read = trained.read(made.reshape(-1, *made.shape[2:])).reshape(*made.shape[:2], -1)
    return read[:, np.arange(len(labels)), labels].T

"""Measure the cost of one prediction: floating point operations and latency, one CPU thread, float32."""

import time

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from shearbench.analysis.evaluation import Measured
from shearbench.analysis.trained import TrainedModel

BATCHES = (1, 64)
"""Batch sizes."""
_REPEATS = 15


def cost(trained: TrainedModel) -> Measured:
    """Return the facts ``flops`` of one image and ``seconds``: batch size -> median seconds per image.

    A classifier of scikit-learn has no ``flops`` (None).

    Floating point operations are those of convolutions and matrix products, a multiplication and an addition counted as
    two (torch's FlopCounterMode). Latency is the median of 15 predictions after one for warm-up. It is measured in the
    process of the first fold, and other work on the machine lengthens it.
    """
    if trained.fold != 0:
        return Measured({})
    inputs = trained.seen(trained.test.inputs[np.arange(max(BATCHES)) % len(trained.test.ids)])
    flops = _flops(trained.network, inputs[:1]) if trained.is_network else None
    seconds = {str(batch): _median_seconds(trained, inputs[:batch]) / batch for batch in BATCHES}
    return Measured({}, {"flops": flops, "seconds": seconds})


def _flops(network: nn.Module, image: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network(image)
    return int(counter.get_total_flops())


def _median_seconds(trained: TrainedModel, inputs: torch.Tensor) -> float:
    """Return the median wall-clock seconds of a prediction."""
    taken = []
    with torch.inference_mode():
        trained.network(inputs)
        for _ in range(_REPEATS):
            begun = time.perf_counter()
            trained.network(inputs)
            taken.append(time.perf_counter() - begun)
    return float(np.median(taken))

"""Compute the feature maps of one sample in the successive convolutions of a network.

For each map resolution it uses the last convolution, and of its channels those with the largest variance over the
image. The variance measures the response to this sample, not the size of the bias.
"""

import numpy as np
from torch import Tensor, nn

from shearbench.analysis.layers import LayerCall, layer_calls
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel

CLASS = 7
CHANNELS = 6


def feature_maps(trained: TrainedModel) -> Measured:
    """Return ``seen`` (channels, 28, 28), the normalised sample, and ``maps-<i>`` of the i-th shown layer.

    The sample is the explained one of class 7 (the last explained sample without that class). ``maps-<i>`` are float32
    (up to 6, height, width), the convolution's own output: signed, before normalisation and activation. Facts: the
    ``id`` of the sample, and for each layer its name, all of its channels, those shown, and how many of them are
    ``silent``: nowhere positive. A network without convolutions has a reason in ``skipped``.
    """
    rows = [row for row in trained.explained if trained.test.labels[row] == CLASS] or [trained.explained[-1]]
    seen = trained.seen(trained.test.inputs[rows[:1]])
    shown = [(each, _strongest(each.left[0])) for each in convolutions(trained.network, seen)]
    layers = [
        {
            "name": each.name,
            "resolution": [int(size) for size in each.left.shape[-2:]],
            "channels": int(each.left.shape[1]),
            "silent": int((each.left[0].amax(dim=(1, 2)) <= 0).sum()),
            "shown": strongest,
        }
        for each, strongest in shown
    ]
    arrays = {f"maps-{place}": each.left[0, strongest].numpy() for place, (each, strongest) in enumerate(shown)}
    facts = {
        "id": int(trained.test.ids[rows[0]]),
        "class": int(trained.test.labels[rows[0]]),
        "layers": layers,
        "skipped": "" if layers else "no convolution",
    }
    return Measured({"seen": seen[0].numpy(), **arrays}, facts)


def convolutions(network: nn.Module, inputs: Tensor) -> list[LayerCall]:
    """Return the last convolution of each resolution above 1 x 1, in the order of their calls."""
    last = {each.left.shape[-2:]: each for each in layer_calls(network, inputs, nn.Conv2d)}
    return [each for resolution, each in last.items() if resolution.numel() > 1]


def _strongest(maps: Tensor) -> list[int]:
    """Return the channels of (channels, height, width) with the largest variance, in falling order."""
    order = np.argsort(-maps.std(dim=(1, 2)).numpy(), kind="stable")
    return [int(channel) for channel in order[:CHANNELS]]

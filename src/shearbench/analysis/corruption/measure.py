"""Measure the accuracy of a network on its share of the test samples, corrupted and under Gaussian noise.

The noise of a draw is the same for every network of a fold and scales with the level. Both channels of a doubled image
have the same noise. Nothing is clipped.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.corruption.corruptions import SEVERITIES, corrupt, corruptions_of, grey_scale
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.seeds import generator_for


def corruption(trained: TrainedModel) -> Measured:
    """Return ``rows`` (n,), ``clean`` (n,) and ``correct`` (corruptions, severities, n): whether the class is right.

    The random part for a sample (a direction, a place) is the same for every network of a fold and at all severities.
    """
    rows, kinds = trained.share, corruptions_of(trained.entry)
    inputs, labels = trained.test.inputs[rows], trained.test.labels[rows]
    correct = np.empty((len(kinds), SEVERITIES, len(rows)), np.bool_)
    for place, (name, kind) in enumerate(kinds.items()):
        for severity in range(1, SEVERITIES + 1):
            generator = generator_for(trained.record["seed"], "evaluate", "corruption", name, trained.fold)
            corrupted = corrupt(inputs, kind, severity, trained.entry, generator)
            correct[place, severity - 1] = trained.correct(corrupted, labels)
    arrays = {"rows": rows, "clean": trained.correct(inputs, labels), "correct": correct}
    return Measured(arrays, {"corruptions": list(kinds), "samples": len(rows)})


def noise(trained: TrainedModel) -> Measured:
    """Return ``rows`` (n,), ``clean`` (n,) and ``correct`` (strengths, draws, n): whether the class is right.

    Strengths are first ``noise.levels``, then ``noise.raw`` of the config. Facts: the input's own ``deviation`` of
    each channel, in its units, and ``scale``, the factor of the raw levels: the grey scale, or one pixel.
    """
    rows, config = trained.share, trained.settings.noise
    inputs, labels = trained.test.inputs[rows].astype(np.float32), trained.test.labels[rows]
    deviation, scale = own_deviation(trained.test.inputs), 1.0 if trained.is_field else grey_scale(trained.test.inputs)
    drawn_channels = inputs.shape[1] if trained.is_field else 1
    strengths = config.strengths(deviation, scale)
    correct = np.empty((len(strengths), config.draws, len(rows)), np.bool_)
    for draw in range(config.draws):
        generator = generator_for(trained.record["seed"], "evaluate", "noise", trained.fold, draw)
        unit = generator.standard_normal((len(rows), drawn_channels, *inputs.shape[2:]), dtype=np.float32)
        for place, strength in enumerate(strengths):
            noisy = inputs + strength[:, None, None].astype(np.float32) * unit
            correct[place, draw] = trained.correct(noisy, labels)
    facts = {"deviation": deviation.tolist(), "scale": scale, "samples": len(rows)}
    return Measured({"rows": rows, "clean": trained.correct(inputs, labels), "correct": correct}, facts)


def own_deviation(inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Return the deviation of inputs (n, channels, h, w) between samples, (channels,).

    It is the root mean square, over the pixels of a channel, of the standard deviation over the samples. Parts
    that are the same in every sample (the frame of an image, the shear of the whole block) do not count.
    """
    deviation: NDArray[np.float64] = np.sqrt(inputs.var(axis=0, dtype=np.float64).mean(axis=(1, 2)))
    return deviation

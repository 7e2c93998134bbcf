"""Measure the accuracy of a network on its share of the test samples under each corruption at each severity."""

import numpy as np

from shearbench.analysis.corruption.corruptions import SEVERITIES, corrupt, corruptions_of
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

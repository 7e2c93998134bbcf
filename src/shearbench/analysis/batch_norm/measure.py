"""Measure the test predictions of a network with other batch-norm statistics and the same weights.

See :mod:`shearbench.analysis.batch_norm.predict`. Recalibration uses the inputs of some training samples, held out
or not, and no label.
"""

import numpy as np

from shearbench.analysis.batch_norm.predict import drawn_from, networks_by_statistics_of, read
from shearbench.analysis.batch_norm.statistics import AS_TRAINED
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.training.running_averages import layers_of


def running_averages(trained: TrainedModel) -> Measured:
    """Return ``correct_<bn_statistics>`` (n,) for all statistics other than ``as_trained``, if the network has them."""
    if not layers_of(trained.network):
        return Measured({}, {"skipped": "no batch normalisation"})
    batch, test = int(trained.record["config"]["recipe"]["batch"]), trained.test
    drawn = trained.train.inputs[drawn_from(np.arange(len(trained.train.ids)))]
    networks_by_statistics = networks_by_statistics_of(
        trained.reader, trained.normaliser, drawn, batch=batch, hardware=trained.hardware
    )
    device = trained.hardware.device
    predicted = {
        bn_statistics: read(network, bn_statistics, test.inputs, trained.normaliser, batch=batch, device=device)
        for bn_statistics, network in networks_by_statistics.items()
        if bn_statistics != AS_TRAINED
    }
    correct = {
        f"correct_{bn_statistics}": probabilities.argmax(axis=1) == test.labels
        for bn_statistics, probabilities in predicted.items()
    }
    return Measured(correct, {"calibration": len(drawn)})

"""Measure the test predictions of a network with other batch-norm statistics and the same weights.

See :mod:`shearbench.analysis.batch_norm.predict`. Recalibration uses the inputs of some training samples, held out
or not, and no label.
"""

import numpy as np

from shearbench.analysis.batch_norm.predict import drawn_from, predictors_of
from shearbench.analysis.batch_norm.statistics import BATCH, RECALIBRATED
from shearbench.analysis.measured import Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.training.running_averages import layers_of


def running_averages(trained: TrainedModel) -> Measured:
    """Return ``correct_<bn_statistics>`` (n,) for all statistics other than ``as_trained``, if the network has them."""
    if not layers_of(trained.network):
        return Measured({}, {"skipped": "no batch normalisation"})
    batch, test = int(trained.record["config"]["recipe"]["batch"]), trained.test
    drawn = trained.train.inputs[drawn_from(np.arange(len(trained.train.ids)))]
    model, normaliser, hardware = trained.predictor, trained.normaliser, trained.hardware
    predictors = predictors_of(model, normaliser, drawn, batch=batch, hardware=hardware)
    correct = {
        f"correct_{each}": predictors[each](test.inputs).argmax(axis=1) == test.labels for each in (BATCH, RECALIBRATED)
    }
    return Measured(correct, {"calibration": len(drawn)})

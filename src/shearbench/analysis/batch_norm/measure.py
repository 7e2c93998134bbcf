"""Measure the test predictions of a network with other batch-norm statistics and the same weights.

See :mod:`shearbench.analysis.batch_norm.predict`. Recalibration uses the inputs of some training samples, held out
or not, and no label.
"""

import numpy as np
import pandas as pd

from shearbench.analysis.batch_norm.predict import drawn_from, predictors_of
from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BATCH, RECALIBRATED
from shearbench.analysis.evaluation import Evaluation, Measured
from shearbench.analysis.trained import TrainedModel
from shearbench.plotting.files import Files, table
from shearbench.training.state import layers_of


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


def running_averages_table(evaluation: Evaluation) -> Files:
    """Return ``running_averages.csv``: ``fold, bn_statistics, n, accuracy``; ``as_trained`` only without batch norm."""
    n, rows = len(evaluation.test.ids), []
    of_folds = zip(evaluation.fold_runs, evaluation.results, evaluation.scores["test"], strict=True)
    for fold_run, result, score in of_folds:
        correct = result.measured["running_averages"].arrays
        accuracies = {AS_TRAINED: score.accuracy}
        for statistics in (BATCH, RECALIBRATED):
            if f"correct_{statistics}" in correct:
                accuracies[statistics] = float(correct[f"correct_{statistics}"].mean())
        for statistics, accuracy in accuracies.items():
            rows.append({"fold": fold_run.fold, "bn_statistics": statistics, "n": n, "accuracy": accuracy})
    return {"running_averages.csv": table(pd.DataFrame(rows))}

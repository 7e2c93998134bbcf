"""Summarise the calibration of a run's networks: before and after temperature scaling, accuracy and coverage.

The temperature of each network is fitted to its out-of-fold predictions and applied to the test set.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table
from shearbench.plotting.scores import STAGES
from shearbench.predictions.calibration import (
    BINS,
    accuracy_at_coverage,
    apply_temperature,
    brier_score,
    error_if_calibrated,
    fit_temperature,
    reliability,
)
from shearbench.predictions.scores import Predictions
from shearbench.seeds import generator_for
from shearbench.statistics.proportions import wilson

_DRAWS = 200
_PERCENT = np.arange(5, 101)


def calibration(evaluation: Evaluation) -> Files:
    """Return the calibration of each network, the reliability of all and their accuracy against coverage."""
    temperatures = [fit_temperature(each.probabilities, each.labels) for each in evaluation.out_of_fold]
    tested = {"before": evaluation.tested, "after": list[Predictions]()}
    for one, temperature in zip(evaluation.tested, temperatures, strict=True):
        scaled = apply_temperature(one.probabilities, temperature).astype(np.float32)
        tested["after"].append(Predictions(one.ids, one.labels, scaled))
    bins = [_bins(stage, networks) for stage, networks in tested.items()]
    return {
        "calibration.csv": table(pd.DataFrame(_rows(evaluation, tested, temperatures))),
        "reliability.csv": table(pd.concat(bins, ignore_index=True)),
        "coverage.csv": table(coverage(evaluation.tested)),
    }


def _rows(
    evaluation: Evaluation, tested: Mapping[str, Sequence[Predictions]], temperatures: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``calibration.csv``.

    Columns: ``fold, split, stage`` (``before`` or ``after`` temperature scaling), ``temperature`` fitted on the fold's
    out-of-fold samples, ``n``, mean ``confidence`` and ``accuracy``, expected calibration error ``ece`` and
    ``ece_by_chance``, its mean if these confidences were calibrated; ``nll``, the mean cross-entropy in nats;
    ``brier``, 0 to 2.
    """
    networks = [("out_of_fold", "before", evaluation.out_of_fold)]
    networks += [("test", stage, list(tested[stage])) for stage in STAGES]
    for split, stage, predictions in networks:
        for fold_run, each, temperature in zip(evaluation.fold_runs, predictions, temperatures, strict=True):
            rng = generator_for(evaluation.seed, "calibration by chance", split, stage, fold_run.fold)
            confidence, correct = each.probabilities.max(axis=1), each.classes == each.labels
            yield {
                "fold": fold_run.fold,
                "split": split,
                "stage": stage,
                "temperature": temperature,
                "n": len(each.labels),
                "confidence": confidence.mean(dtype=np.float64),
                "accuracy": correct.mean(),
                "ece": reliability(confidence, correct).error,
                "ece_by_chance": error_if_calibrated(confidence, draws=_DRAWS, rng=rng),
                "nll": each.losses.mean(),
                "brier": brier_score(each.probabilities, each.labels),
            }


def _bins(stage: str, networks: Sequence[Predictions]) -> pd.DataFrame:
    """Return the rows of ``reliability.csv``: test predictions of all networks by confidence.

    Columns: ``stage, low, high`` edges of the bin; ``n``, predictions in it, mean over the networks; their mean
    ``confidence`` and ``accuracy``; ``accuracy_low, accuracy_high``: Wilson's 95 % interval for ``n`` samples.
    """
    confidence = np.concatenate([each.probabilities.max(axis=1) for each in networks])
    correct = np.concatenate([each.classes == each.labels for each in networks])
    found, edges = reliability(confidence, correct), np.linspace(0, 1, BINS + 1)
    n = found.count / len(networks)
    bounds = [
        wilson(share, max(1, round(mean))) if mean else (np.nan, np.nan)
        for share, mean in zip(found.accuracy, n, strict=True)
    ]
    bins = pd.DataFrame({"stage": stage, "low": edges[:-1], "high": edges[1:], "n": n})
    bins["confidence"], bins["accuracy"] = found.confidence, found.accuracy
    bins[["accuracy_low", "accuracy_high"]] = bounds
    return bins


def coverage(networks: Sequence[Predictions]) -> pd.DataFrame:
    """Return the rows of ``coverage.csv``: the accuracy of a network on its most confident predictions.

    Columns: ``coverage``, the predicted share of the test samples; ``n``, their number; mean and standard deviation
    of the ``accuracy`` over the networks; Wilson's 95 % interval of the mean for ``n`` samples.
    """
    curves = np.stack(
        [accuracy_at_coverage(each.probabilities.max(axis=1), each.classes == each.labels) for each in networks]
    )
    n = -(-_PERCENT * curves.shape[1] // 100)  # rounded up, without the rounding of floats
    at = curves[:, n - 1]
    mean, sd = at.mean(axis=0), at.std(axis=0, ddof=1)
    rows = pd.DataFrame({"coverage": _PERCENT / 100, "n": n, "accuracy_mean": mean, "accuracy_sd": sd})
    rows[["accuracy_low", "accuracy_high"]] = [wilson(*each) for each in zip(mean, n, strict=True)]
    return rows

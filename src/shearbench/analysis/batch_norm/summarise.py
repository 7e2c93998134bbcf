"""Test accuracy with the running averages of training, with batch statistics, and with recalibrated averages."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BN_STATISTICS
from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, table


def running_averages(evaluation: Evaluation) -> Files:
    """Return ``running_averages.csv``: ``fold, bn_statistics, n, accuracy``; ``as_trained`` only without batch norm."""
    rows = [
        {"fold": fold_run.fold, "bn_statistics": bn_statistics, "n": len(evaluation.test.ids), "accuracy": accuracy}
        for fold_run, result, score in zip(
            evaluation.fold_runs, evaluation.results, evaluation.scores["test"], strict=True
        )
        for bn_statistics, accuracy in _accuracies(result.measured["running_averages"].arrays, score.accuracy).items()
    ]
    return {"running_averages.csv": table(pd.DataFrame(rows))}


def _accuracies(arrays: Mapping[str, NDArray[Any]], as_trained: float) -> dict[str, float]:
    others = {
        bn_statistics: float(arrays[f"correct_{bn_statistics}"].mean())
        for bn_statistics in BN_STATISTICS
        if f"correct_{bn_statistics}" in arrays
    }
    return {AS_TRAINED: as_trained, **others}

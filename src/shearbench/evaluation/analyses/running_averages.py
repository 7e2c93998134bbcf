"""Test accuracy with the running averages of training, with batch statistics, and with recalibrated averages."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from shearbench.evaluation.evaluation import Evaluation
from shearbench.evaluation.files import Files, table
from shearbench.evaluation.ways import AS_TRAINED, WAYS


def running_averages(evaluation: Evaluation) -> Files:
    """Return ``running_averages.csv``: ``fold, way, n, accuracy``; one way alone without batch normalisation."""
    rows = [
        {"fold": run.fold, "way": way, "n": len(evaluation.test.ids), "accuracy": accuracy}
        for run, result, score in zip(evaluation.runs, evaluation.results, evaluation.scores["test"], strict=True)
        for way, accuracy in _accuracies(result.answers["running_averages"].arrays, score.accuracy).items()
    ]
    return {"running_averages.csv": table(pd.DataFrame(rows))}


def _accuracies(arrays: Mapping[str, NDArray[Any]], as_trained: float) -> dict[str, float]:
    others = {way: float(arrays[f"correct_{way}"].mean()) for way in WAYS if f"correct_{way}" in arrays}
    return {AS_TRAINED: as_trained, **others}

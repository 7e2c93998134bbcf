"""The summaries of a run's evaluation: each makes tables, arrays and figures of an :class:`Evaluation`.

A summary is one function ``Evaluation -> Files``, in a file of its topic or here, and one line in ``SUMMARIES``. The
record holds the hashes of its files, and MLflow gets them. If it needs a network, a measurement provides its arrays.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, BATCH, RECALIBRATED
from shearbench.analysis.calibration.summarise import calibration
from shearbench.analysis.corruption.summarise import corruption, noise
from shearbench.analysis.embedding.summarise import embedding
from shearbench.analysis.evaluation import MEASURED, Evaluation, stored_arrays
from shearbench.analysis.gradcam.summarise import attribution, explanation
from shearbench.analysis.learning.summarise import learning, learning_curves
from shearbench.analysis.mistakes.summarise import mistakes
from shearbench.analysis.scores.summarise import scoring
from shearbench.plotting.files import Files, Writer, arrays, merged, table
from shearbench.predictions.folds import hardware_of
from shearbench.records import write_record, write_text

OF_NETWORKS = ("learning", "attribution", "explanation", "feature_maps", "embedding", "running_averages")
"""Summaries of epochs and layers, which a classifier of scikit-learn does not have."""


def feature_maps(evaluation: Evaluation) -> Files:
    """Return ``feature_maps.npz``: ``seen`` (channels, 28, 28), and ``maps-<i>`` (shown, height, width) of a layer."""
    return {"feature_maps.npz": arrays(evaluation.results[0].measured["feature_maps"].arrays)}


def running_averages(evaluation: Evaluation) -> Files:
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


SUMMARIES: dict[str, Callable[[Evaluation], Files]] = {
    "scoring": scoring,
    "learning": learning,
    "calibration": calibration,
    "mistakes": mistakes,
    "attribution": attribution,
    "explanation": explanation,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "noise": noise,
    "running_averages": running_averages,
    "corruption": corruption,
}


def summarised(evaluation: Evaluation) -> dict[str, Writer]:
    """Return the files of every summary that applies, by their name."""
    applied = [name for name in SUMMARIES if evaluation.is_network or name not in OF_NETWORKS]
    return merged((name, SUMMARIES[name](evaluation)) for name in applied)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write all files of ``build/evaluation/<dataset>/<model>/``, its record last."""
    stored = {MEASURED: arrays(stored_arrays(evaluation.results))}
    write_record(folder, _result(evaluation), summarised(evaluation) | stored)


def write_plots(folder: Path, evaluation: Evaluation) -> None:
    """Write the data of ``dvc plots``: accuracy of each epoch, and one row per test sample and network."""
    curves = pd.DataFrame(columns=["train_accuracy", "validation_accuracy"], index=pd.Index([], name="epoch"))
    if evaluation.is_network:
        found = learning_curves([fold_run.history for fold_run in evaluation.fold_runs])
        curves = found.pivot(index="epoch", columns="split", values="accuracy_mean").add_suffix("_accuracy")
    tested = evaluation.by_sample["test"]
    actual = np.broadcast_to(tested.labels, tested.classes.shape)
    predictions = pd.DataFrame({"actual": actual.ravel(), "predicted": tested.classes.ravel()})
    write_text(folder / "learning_curves.csv", curves.reset_index().to_csv(index=False))
    write_text(folder / "confusion.csv", predictions.to_csv(index=False))


def _result(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of the record without the hashes of its files."""
    first = evaluation.fold_runs[0].record
    return {
        "dataset": first["dataset"],
        "model": first["model"],
        "kind": "network" if evaluation.is_network else "classifier",
        "entry": first["config"]["entry"],
        "classes": first["classes"],
        "hardware": hardware_of(evaluation.fold_runs),
        "read_on": sorted({each.device for each in evaluation.results}),
        "training": first["provenance"],
        "folds": len(evaluation.fold_runs) // evaluation.repeats,
        "repeats": evaluation.repeats,
        "fold_records": [fold_run.digest for fold_run in evaluation.fold_runs],
        "hashes": {**first["hashes"], "test": evaluation.test.content_hash},
        "parameters": first["parameters"],
        "seconds_per_fold": float(np.mean([fold_run.record["seconds"] for fold_run in evaluation.fold_runs])),
        "sizes": {"train": len(evaluation.by_sample["out_of_fold"].ids), "test": len(evaluation.test.ids)},
        "measurements": {name: dict(measured.facts) for name, measured in evaluation.results[0].measured.items()},
    }

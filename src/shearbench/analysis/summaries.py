"""What runs for each run: measurements of a trained model, and summaries of the evaluation.

A measurement is one function ``TrainedModel -> Measured`` and one line in ``MEASUREMENTS``. It runs for each fold's
model, in the process that has it loaded.

A summary is one function ``Evaluation -> Files`` and one line in ``SUMMARIES``. It makes tables, arrays and figures; if
it needs a network, a measurement provides its arrays. The record holds the hashes of its files, and MLflow gets them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.activations.measure import embedding, embedding_files, feature_maps, feature_maps_files
from shearbench.analysis.batch_norm.measure import running_averages, running_averages_table
from shearbench.analysis.calibration.summarise import calibration
from shearbench.analysis.corruption.measure import corruption, corruption_tables, noise, noise_table
from shearbench.analysis.cost.measure import cost
from shearbench.analysis.evaluation import MEASURED, Evaluation, Measured, stored_arrays
from shearbench.analysis.gradcam.measure import explanation, gradcam
from shearbench.analysis.gradcam.summarise import attribution, explanation_tables
from shearbench.analysis.learning.summarise import learning, learning_curves
from shearbench.analysis.scores.summarise import mistakes, scoring
from shearbench.analysis.trained import TrainedModel
from shearbench.plotting.files import Files, Writer, arrays, merged
from shearbench.predictions.folds import hardware_of
from shearbench.records import write_record, write_text

OF_LAYERS = ("gradcam", "explanation", "feature_maps", "embedding", "running_averages")
"""Measurements of the layers of a network; a classifier of scikit-learn has none."""

MEASUREMENTS: dict[str, Callable[[TrainedModel], Measured]] = {
    "gradcam": gradcam,
    "explanation": explanation,
    "feature_maps": feature_maps,
    "embedding": embedding,
    "noise": noise,
    "running_averages": running_averages,
    "corruption": corruption,
    "cost": cost,
}


def measured(trained: TrainedModel) -> dict[str, Measured]:
    """Return all measurements; those of layers are skipped for a classifier of scikit-learn, with the reason."""
    skipped = Measured({}, {"skipped": "a classifier of scikit-learn has no layers"})
    return {
        name: skipped if name in OF_LAYERS and not trained.is_network else measurement(trained)
        for name, measurement in MEASUREMENTS.items()
    }


OF_NETWORKS = ("learning", "attribution", "explanation", "feature_maps", "embedding", "running_averages")
"""Summaries of epochs and layers, which a classifier of scikit-learn does not have."""

SUMMARIES: dict[str, Callable[[Evaluation], Files]] = {
    "scoring": scoring,
    "learning": learning,
    "calibration": calibration,
    "mistakes": mistakes,
    "attribution": attribution,
    "explanation": explanation_tables,
    "feature_maps": feature_maps_files,
    "embedding": embedding_files,
    "noise": noise_table,
    "running_averages": running_averages_table,
    "corruption": corruption_tables,
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

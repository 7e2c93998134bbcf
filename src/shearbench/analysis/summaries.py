"""The summaries of a run's evaluation: each makes tables, arrays and figures of an :class:`Evaluation`.

A summary is one file with one function ``Evaluation -> Files`` and one line in ``SUMMARIES``. The record holds the
hashes of its files, and MLflow gets them. If it needs a network, a measurement provides its arrays.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.analysis.batch_norm.summarise import running_averages
from shearbench.analysis.calibration.summarise import calibration
from shearbench.analysis.corruption.summarise import corruption
from shearbench.analysis.embedding.summarise import embedding
from shearbench.analysis.evaluation import MEASURED, Evaluation, stored_arrays
from shearbench.analysis.faithfulness.summarise import explanation
from shearbench.analysis.feature_maps.summarise import feature_maps
from shearbench.analysis.gradcam.summarise import attribution
from shearbench.analysis.learning.summarise import curves_of, learning
from shearbench.analysis.mistakes.summarise import mistakes
from shearbench.analysis.noise.summarise import noise
from shearbench.analysis.scores.summarise import scoring
from shearbench.plotting.files import Files, Writer, arrays
from shearbench.predictions.folds import hardware_of
from shearbench.records import write_record, write_text

Analysis = Callable[[Evaluation], Files]

OF_NETWORKS = ("learning", "attribution", "explanation", "feature_maps", "embedding", "running_averages")
"""Summaries of epochs and layers, which a classifier of scikit-learn does not have."""

SUMMARIES: dict[str, Analysis] = {
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


def analyses_of(evaluation: Evaluation) -> dict[str, Analysis]:
    """Return the summaries that apply to a run, by name."""
    return {name: each for name, each in SUMMARIES.items() if evaluation.is_network or name not in OF_NETWORKS}


def summarised(evaluation: Evaluation) -> dict[str, Writer]:
    """Return the files of every summary that applies, by their name."""
    files: dict[str, Writer] = {}
    for name, analyse in analyses_of(evaluation).items():
        made = analyse(evaluation)
        assert not files.keys() & made.keys(), f"analysis {name} writes a file of another: {files.keys() & made.keys()}"
        files |= made
    return files


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write all files of ``build/evaluation/<dataset>/<model>/``, its record last."""
    stored = {MEASURED: arrays(stored_arrays(evaluation.results))}
    write_record(folder, _result(evaluation), summarised(evaluation) | stored)


def write_plots(folder: Path, evaluation: Evaluation) -> None:
    """Write the data of ``dvc plots``: accuracy of each epoch, and one row per test sample and network."""
    curves = pd.DataFrame(columns=["train_accuracy", "validation_accuracy"], index=pd.Index([], name="epoch"))
    if evaluation.is_network:
        found = curves_of(evaluation).pivot(index="epoch", columns="split", values="accuracy_mean")
        curves = found.add_suffix("_accuracy")
    predicted = np.stack([each.classes for each in evaluation.tested])
    actual = np.broadcast_to(evaluation.test.labels, predicted.shape)
    predictions = pd.DataFrame({"actual": actual.ravel(), "predicted": predicted.ravel()})
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
        "sizes": {
            "train": sum(one.n for one in evaluation.scores["out_of_fold"]) // evaluation.repeats,
            "test": len(evaluation.test.ids),
        },
        "measurements": {name: dict(measured.facts) for name, measured in evaluation.results[0].measured.items()},
    }

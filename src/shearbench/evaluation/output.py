"""A cell's evaluation as files: numbers, tables, predictions and pictures, and the record that vouches for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from shearbench.data.dataset import Dataset
from shearbench.evaluation import tables
from shearbench.evaluation.attribution_figure import Looks, attribution_figure
from shearbench.evaluation.canvas import png
from shearbench.evaluation.cell import FoldRun
from shearbench.evaluation.figures import confusion_figure, learning_curves_figure, per_class_figure
from shearbench.evaluation.inference import FoldResult
from shearbench.evaluation.scores import Predictions, Scores, score
from shearbench.records import write_bytes, write_json, write_npz, write_record, write_text

_SHOWN_FOLDS = 2


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The folds of a cell, the test set, the rows of it that were explained, and what each network made of it."""

    runs: Sequence[FoldRun]
    test: Dataset
    explained: tuple[int, ...]
    results: Sequence[FoldResult]

    @property
    def name(self) -> str:
        """What pictures call the cell."""
        return f"{self.runs[0].record['model']} on {self.runs[0].record['dataset']}"

    @cached_property
    def scores(self) -> dict[str, list[Scores]]:
        """Split -> the scores of each fold's network."""
        test = [Predictions(self.test.ids, self.test.labels, result.probabilities) for result in self.results]
        return {
            "out_of_fold": [score(run.out_of_fold) for run in self.runs],
            "test": [score(predictions) for predictions in test],
        }

    def stacked(self, values: Callable[[FoldResult], NDArray[Any]]) -> NDArray[Any]:
        """Return an array of each fold's result, stacked (folds, ...)."""
        return np.stack([values(result) for result in self.results])


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write all files of ``build/evaluation/<dataset>/<model>/``, its record last."""
    files = {**_numbers(evaluation), **_arrays(evaluation), **_pictures(evaluation)}
    write_record(folder, _result(evaluation), files)


def write_plots(folder: Path, evaluation: Evaluation) -> None:
    """Write what ``dvc plots`` draws: accuracy of each epoch, and a row for each test digit and network."""
    curves = _curves(evaluation).pivot(index="epoch", columns="split", values="accuracy_mean").add_suffix("_accuracy")
    predicted = evaluation.stacked(lambda result: result.probabilities.argmax(axis=1))
    actual = np.broadcast_to(evaluation.test.labels, predicted.shape)
    reads = pd.DataFrame({"actual": actual.ravel(), "predicted": predicted.ravel()})
    write_text(folder / "learning_curves.csv", curves.reset_index().to_csv(index=False))
    write_text(folder / "confusion.csv", reads.to_csv(index=False))


def _result(evaluation: Evaluation) -> dict[str, Any]:
    """Return what the record says beside the hashes of its files."""
    first = evaluation.runs[0].record
    attribution = evaluation.results[0].attribution
    return {
        "dataset": first["dataset"],
        "model": first["model"],
        "entry": first["config"]["entry"],
        "hardware": f"{first['config']['device']}, {first['config']['precision']}",
        "training": first["provenance"],
        "folds": len(evaluation.runs),
        "fold_records": [run.digest for run in evaluation.runs],
        "hashes": {**first["hashes"], "test": evaluation.test.content_hash},
        "parameters": first["parameters"],
        "seconds_per_fold": float(np.mean([run.record["seconds"] for run in evaluation.runs])),
        "sizes": {"train": sum(one.n for one in evaluation.scores["out_of_fold"]), "test": len(evaluation.test.ids)},
        "attribution": {
            "method": attribution.method,
            "layer": attribution.layer,
            "resolution": list(attribution.resolution),
            "skipped": attribution.skipped,
            "ids": [int(evaluation.test.ids[row]) for row in evaluation.explained],
        },
    }


def _numbers(evaluation: Evaluation) -> dict[str, Callable[[Path], None]]:
    scores = evaluation.scores
    kept = [run.record["metrics"] for run in evaluation.runs]
    frames = {
        "fold_metrics.csv": tables.fold_metrics(scores),
        "per_class.csv": tables.per_class(scores),
        "confusion_out_of_fold.csv": tables.confusion(scores["out_of_fold"]),
        "confusion_test.csv": tables.confusion(scores["test"]),
        "learning_curves.csv": _curves(evaluation),
    }
    return {
        "metrics.json": partial(write_json, value=tables.metrics(scores, kept)),
        **{name: partial(write_text, content=frame.to_csv(index=False)) for name, frame in frames.items()},
    }


def _arrays(evaluation: Evaluation) -> dict[str, Callable[[Path], None]]:
    rows = list(evaluation.explained)
    test = evaluation.test
    predictions = {
        "ids": test.ids,
        "labels": test.labels,
        "probabilities": evaluation.stacked(lambda result: result.probabilities),
    }
    attributions = {
        "ids": test.ids[rows],
        "labels": test.labels[rows],
        "seen": evaluation.stacked(lambda result: result.seen),
        "maps": evaluation.stacked(lambda result: result.attribution.maps),
    }
    return {
        "test_predictions.npz": partial(write_npz, arrays=predictions),
        "gradcam.npz": partial(write_npz, arrays=attributions),
    }


def _pictures(evaluation: Evaluation) -> dict[str, Callable[[Path], None]]:
    counts = {split: tables.total_confusion(folds) for split, folds in evaluation.scores.items()}
    figures = {
        "confusion": confusion_figure(evaluation.name, counts, len(evaluation.runs)),
        "learning_curves": learning_curves_figure(evaluation.name, _curves(evaluation)),
        "per_class": per_class_figure(evaluation.name, tables.per_class(evaluation.scores)),
        "gradcam": _attribution_picture(evaluation),
    }
    return {f"figures/{name}.png": partial(write_bytes, content=png(made)) for name, made in figures.items()}


def _curves(evaluation: Evaluation) -> pd.DataFrame:
    return tables.learning_curves([run.history for run in evaluation.runs])


def _attribution_picture(evaluation: Evaluation) -> Figure:
    rows = list(evaluation.explained)
    first = evaluation.results[0]
    shown = evaluation.results[:_SHOWN_FOLDS]
    height, width = first.attribution.resolution
    kinds = {
        "grad-cam": f"Grad-CAM of layer {first.attribution.layer}, map {height} x {width}",
        "saliency": "saliency, as there is no convolution",
    }
    looks = {
        evaluation.runs[fold].fold: Looks(result.attribution.maps, result.probabilities[rows].argmax(axis=1))
        for fold, result in enumerate(shown)
    }
    title = f"{evaluation.name}: evidence for the true class, {kinds[first.attribution.method]}"
    is_field = evaluation.runs[0].record["config"]["entry"]["source"] == "simulated"
    channels = ("$u_x$", "$u_y$") if is_field else ("image",) * first.seen.shape[1]
    labels = evaluation.test.labels[rows]
    return attribution_figure(title, first.seen, labels, channels=channels, looks=looks)

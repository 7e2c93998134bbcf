"""Scores, confusion and predictions of a run's networks, out of fold and on the test set."""

from typing import Any

from numpy.typing import NDArray

from shearbench.analysis.evaluation import Evaluation
from shearbench.plotting.files import Files, arrays, numbers, picture, table
from shearbench.plotting.scores import confusion_figure, per_class_figure
from shearbench.predictions import tables


def scoring(evaluation: Evaluation) -> Files:
    """Return metrics, scores of folds and classes, confusion matrices and the predictions of the test set."""
    scores, repeats, classes = evaluation.scores, evaluation.repeats, evaluation.test.classes
    kept = [fold_run.record["metrics"] for fold_run in evaluation.fold_runs]
    per_class = tables.per_class(scores, evaluation.by_sample, classes, seed=evaluation.seed)
    metrics = tables.metrics(scores, kept, repeats=repeats)
    metrics["out_of_fold"] |= tables.spread(evaluation.out_of_fold, repeats=repeats)
    networks = {"out_of_fold": repeats, "test": len(evaluation.fold_runs)}
    counts = {split: tables.total_confusion(folds) for split, folds in scores.items()}
    predictions: dict[str, NDArray[Any]] = {
        "ids": evaluation.test.ids,
        "labels": evaluation.test.labels,
        "probabilities": evaluation.by_sample["test"].probabilities,
    }
    return {
        "metrics.json": numbers(metrics),
        "fold_metrics.csv": table(tables.fold_metrics(scores)),
        "per_class.csv": table(per_class),
        "confusion_out_of_fold.csv": table(tables.confusion(scores["out_of_fold"], classes)),
        "confusion_test.csv": table(tables.confusion(scores["test"], classes)),
        "test_predictions.npz": arrays(predictions),
        "figures/confusion.png": picture(confusion_figure(evaluation.name, counts, networks, classes)),
        "figures/per_class.png": picture(per_class_figure(evaluation.name, per_class)),
    }

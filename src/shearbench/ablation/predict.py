"""One network of an ablation on the held-out test set and its training samples: a task of stage ``ablation_result``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.analysis.batch_norm.statistics import AS_TRAINED, RECALIBRATED
from shearbench.data.dataset import FOLDS, Dataset, load
from shearbench.data.folds import read_folds
from shearbench.execution.settings import Chosen
from shearbench.records import read_npz

Probabilities = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PredictionTask:
    """The inputs of a prediction: the folder of a fold run, and a dataset with both splits and the fold table."""

    fold_run: Path
    dataset: Path
    device: Chosen

    def reads(self) -> tuple[Path, ...]:
        """Return the folders that the task needs."""
        return (self.fold_run, self.dataset)


@dataclass(frozen=True, eq=False)
class FoldPredictions:
    """Predictions of one network, by batch-norm statistics.

    ``held_out`` (without batch statistics) and ``test`` are probabilities (n, classes); ``train`` is the accuracy on
    ``trained_on`` drawn training samples, and ``device`` the device of the predictions.
    """

    held_out: Probabilities
    test: Probabilities
    train: Mapping[str, float]
    trained_on: int
    device: str


def predict_fold(task: PredictionTask, advance: Callable[[int], None]) -> FoldPredictions:
    """Predict the test samples, the held-out samples and some training samples with one network, in float32.

    A diagnosed training predicts with all batch-norm statistics, any other one as trained only.
    """
    # Imported here: loading takes a second, and the process that distributes the tasks does not need it.
    from shearbench.analysis.batch_norm.predict import drawn_from, predictors_of
    from shearbench.training.config import TrainingConfig, select
    from shearbench.training.hardware import resolve, settle
    from shearbench.training.loop import EVALUATION_BATCH
    from shearbench.training.results import load_network

    hardware = resolve(task.device, "fp32")
    settle(hardware)
    network, normaliser, record = load_network(task.fold_run)
    config = TrainingConfig.from_record(record)
    train, test = load(task.dataset, "train"), load(task.dataset, "test")
    rows = select(read_folds(task.dataset / FOLDS), train.labels, fold=record["fold"], config=config)
    assert rows.validation is not None
    drawn = train.only(drawn_from(rows.train))
    batch = config.recipe.batch if config.recipe else EVALUATION_BATCH
    predictors = predictors_of(network, normaliser, drawn.inputs, batch=batch, hardware=hardware)
    if not config.diagnose:
        predictors = {AS_TRAINED: predictors[AS_TRAINED]}

    def predictions_of(data: Dataset) -> Probabilities:
        return {bn_statistics: predictor(data.inputs) for bn_statistics, predictor in predictors.items()}

    held_out = {AS_TRAINED: read_npz(task.fold_run / "out_of_fold.npz")["probabilities"]}
    if RECALIBRATED in predictors:
        held_out[RECALIBRATED] = predictors[RECALIBRATED](train.only(rows.validation).inputs)
    on_train = {
        bn_statistics: share_correct(probabilities, drawn.labels)
        for bn_statistics, probabilities in predictions_of(drawn).items()
    }
    found = FoldPredictions(held_out, predictions_of(test), on_train, len(drawn.ids), hardware.device)
    advance(1)
    return found


def share_correct(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of samples that are predicted correctly, 0 to 1."""
    return float((probabilities.argmax(axis=1) == labels).mean())

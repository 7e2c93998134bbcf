"""Read the fold records of one run and check them against the data of their training.

Reads ``build/runs/<dataset>/<model>/fold-<k>/``. A missing fold, or a record of other data or folds, is an error, so
that no mean mixes different trainings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.data.folds import FoldTable
from shearbench.errors import InputError
from shearbench.predictions.scores import Predictions
from shearbench.records import RECORD, is_finished, read_npz, read_record, require_shape, sha256_of

_METRICS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
_SHAPE = {
    **{"dataset": str, "model": str, "fold": int, "seed": int, "seconds": (int, float), "config": dict},
    "hashes": dict.fromkeys(("config", "data", "folds", "code"), str),
    "metrics": dict.fromkeys(_METRICS, (int, float)),
    "provenance": {"written": str},
}


@dataclass(frozen=True, eq=False)
class FoldRun:
    """A finished fold run: its folder, its record and ``digest``, the SHA-256 of the record."""

    folder: Path
    record: dict[str, Any]
    digest: str

    @property
    def fold(self) -> int:
        """The number of the fold."""
        return int(self.record["fold"])

    @property
    def is_network(self) -> bool:
        """Whether its model is a network, with epochs and layers, not a classifier of scikit-learn."""
        return self.record["config"]["recipe"] is not None

    @property
    def history(self) -> pd.DataFrame:
        """Loss and accuracy of each epoch; empty for a classifier of scikit-learn."""
        return pd.read_csv(self.folder / "history.csv")

    @property
    def batches(self) -> pd.DataFrame:
        """Loss of each mini-batch; empty for a classifier of scikit-learn."""
        return pd.read_csv(self.folder / "batches.csv")

    @property
    def out_of_fold(self) -> Predictions:
        """Predictions of the held-out samples."""
        arrays = read_npz(self.folder / "out_of_fold.npz")
        return Predictions(arrays["ids"], arrays["labels"], arrays["probabilities"])


def read_fold_runs(folder: Path, networks: int) -> list[FoldRun]:
    """Read the fold records of the run in ``folder``, ``fold-0`` to ``fold-<networks - 1>``.

    Raises:
        InputError: if a fold is missing, a record is damaged or of another fold, or two training configs differ.
    """
    expected = [folder / f"fold-{fold}" for fold in range(networks)]
    missing = [path.name for path in expected if not is_finished(path)]
    if missing:
        raise InputError(
            f"{folder} must hold {networks} finished folds, but {', '.join(missing)} is not; "
            f"run `dvc repro {stage_of(folder)}`"
        )
    fold_runs = [read_fold_run(path) for path in expected]
    for number, fold_run in enumerate(fold_runs):
        if fold_run.fold != number:
            raise InputError(
                f"{fold_run.folder} holds the record of fold {fold_run.fold}; remove it and run "
                f"`dvc repro {stage_of(folder)}`"
            )
    for fold_run in fold_runs[1:]:
        _require_equal(fold_run, "config", fold_runs[0].record["hashes"]["config"], f"fold {fold_runs[0].fold}")
    return fold_runs


def overlap_of(fold_runs: Sequence[FoldRun]) -> float:
    """Return n_test/n_train of the folds; 0 if each model trained on its own fold alone: disjoint training sets."""
    if fold_runs[0].record["config"]["train_on"] == "fold":
        return 0.0
    held_out, train = (sum(run.record["sizes"][name] for run in fold_runs) for name in ("validation", "train"))
    return float(held_out / train)


def hardware_of(fold_runs: Iterable[FoldRun]) -> str:
    """Return the hardware of the training, such as ``cpu, fp32, AVX2``; joined by ``;`` if folds differ."""
    return "; ".join(sorted({_hardware(fold_run) for fold_run in fold_runs}))


def _hardware(fold_run: FoldRun) -> str:
    if not fold_run.is_network:
        return "cpu"  # scikit-learn has no choice of device or precision
    config, gpu = fold_run.record["config"], fold_run.record["gpu"]
    if gpu:
        return f"{config['device']} ({gpu}), {config['precision']}"
    return f"{config['device']}, {config['precision']}, {fold_run.record['instructions']}"


def read_fold_run(folder: Path) -> FoldRun:
    """Read the record of a finished fold; InputError if it is damaged."""
    record = read_record(folder)
    require_shape(record, _SHAPE, folder / RECORD, f"remove {folder} and")
    return FoldRun(folder, record, sha256_of(folder / RECORD))


def check_data(fold_runs: Sequence[FoldRun], data_hash: str, table: FoldTable) -> None:
    """Check that the fold records of a run belong to the training data with ``data_hash`` and to this fold table.

    Raises:
        InputError: naming the record that differs and the difference, or if folds of the table are missing.
    """
    if len(fold_runs) != len(table.numbers):
        raise InputError(
            f"cv of params.yaml plans {len(fold_runs)} networks a run, but the fold table is for {table.count} folds x "
            f"{table.repeats} repeats; run `dvc repro prepare`"
        )
    check_records(fold_runs, data_hash, table)


def check_records(fold_runs: Sequence[FoldRun], data_hash: str, table: FoldTable) -> None:
    """Like :func:`check_data`, but allows a subset of the folds."""
    for fold_run in fold_runs:
        _require_equal(fold_run, "data", data_hash, "the present training data")
        _require_equal(fold_run, "folds", table.hash_of(fold_run.fold), "the present fold table")
        predictions = fold_run.out_of_fold
        _, held_out = table.split(fold_run.fold, fold_run.record["config"]["train_on"])
        if not np.array_equal(np.sort(predictions.ids), np.sort(table.ids[held_out])):
            raise InputError(
                f"{fold_run.folder / 'out_of_fold.npz'} must predict the samples of fold {fold_run.fold} once each, "
                f"but it does not; remove {fold_run.folder} and run `dvc repro`"
            )
        _require_scores(fold_run, predictions)


def _require_scores(fold_run: FoldRun, predictions: Predictions) -> None:
    """Check that the held-out scores in a record are those of its stored predictions."""
    given = {"accuracy": predictions.correct.mean(), "loss": predictions.losses.mean()}
    for name, value in given.items():
        stated = fold_run.record["metrics"][f"validation_{name}"]
        if not np.isclose(stated, value, rtol=1e-6, atol=0):
            raise InputError(
                f"{fold_run.folder / RECORD} states a validation {name} of {stated:.6g}, but its predictions give "
                f"{value:.6g}; remove {fold_run.folder} and run `dvc repro {stage_of(fold_run.folder.parent)}`"
            )


def _require_equal(fold_run: FoldRun, what: str, expected: str, of: str) -> None:
    found = fold_run.record["hashes"][what]
    if found != expected:
        raise InputError(
            f"{fold_run.folder / RECORD} has the {what} hash {found[:12]}, but {of} has {expected[:12]}; "
            f"run `dvc repro {stage_of(fold_run.folder.parent)}`"
        )


def stage_of(folder: Path) -> str:
    """Return the stage of ``dvc.yaml`` that trains the run in a folder."""
    if folder.parents[2].name == "ablations":
        return f"ablation@{folder.parents[1].name}"
    return f"train@{folder.parent.name}-{folder.name}"

"""``shearbench join FOLDER``: compare a model trained elsewhere with the runs of its dataset.

The rules are those of the stage ``compare``: the same samples and folds, one family of pairs, the same verdicts. The
result is ``reports/joined/<dataset>-<model>.json`` and ``.csv``, which the stage ``report`` shows.

The folder holds ``card.yaml`` and, for each fold k of the table, ``fold-<k>`` with the predictions of the samples that
it holds out and ``test-<k>`` with those of the test samples by the same trained model: ``.csv`` with the columns
``id``, ``label`` and one for each class, or ``.npz`` with ``ids``, ``labels`` and ``probabilities`` (n, classes).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from shearbench import yaml12
from shearbench.comparison.table import runs_of
from shearbench.data.dataset import FOLDS, Dataset, load, read_named
from shearbench.data.folds import TrainOn, read_folds
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.records import write_json, write_text
from shearbench.stages.compare import plan_of
from shearbench.statistics.pairs import compare_all
from shearbench.statistics.pairs import row as pair_row
from shearbench.statistics.runs import Run
from shearbench.strict import Strict
from shearbench.yaml12 import RUN_NAME

CARD = "card.yaml"
_SUM = 1e-3  # tolerance of the sum of probabilities: a CSV file has few decimals
_ARRAYS = ("ids", "labels", "probabilities")
_SHOWN = 5  # number of ids in a message


class Card(Strict):
    """``card.yaml``: the dataset of ``params.yaml``, a name for the model, and how it was trained."""

    dataset: str
    model: Annotated[str, Field(pattern=f"^{RUN_NAME}$")]
    description: str


def main(params: Params, root: Path, folder: Path) -> dict[str, Any]:
    """Compare, write and return the result: the card, accuracies, and ``rows`` in the format of ``pairs.json``.

    Raises:
        InputError: if the folder has an error, or the runs of the dataset are not finished.
    """
    card = _read_card(folder)
    models = [run.model for run in params.runs.values() if run.dataset == card.dataset]
    if not models:
        datasets = ", ".join(dict.fromkeys(run.dataset for run in params.runs.values()))
        raise InputError(f"{folder / CARD}: dataset must be one that has runs, {datasets}; got {card.dataset!r}")
    if card.model in models:
        raise InputError(f"{folder / CARD}: model must have a name that params.yaml has not; got {card.model!r}")
    plan, build = plan_of(params), root / "build"
    runs = runs_of(build, [(card.dataset, model) for model in models], plan.design)
    joined = _read_run(folder, card, build / "datasets" / card.dataset, runs[0], params.cv.train_on)
    pairs = compare_all([joined, *runs], plan).models
    found = {
        "card": dict(card),
        "fold_accuracies": joined.fold_accuracies.tolist(),
        "cv_accuracy": float(joined.fold_accuracies.mean()),
        "test_accuracy": float(joined.test_correct.mean()),
        "rows": [pair_row(pair) for pair in pairs],
        "refused": None,
        "unpaired": [],
    }
    out = root / "reports" / "joined"
    write_json(out / f"{joined.name}.json", found)
    write_text(out / f"{joined.name}.csv", pd.DataFrame(found["rows"]).to_csv(index=False))
    return found


def _read_card(folder: Path) -> Card:
    path = folder / CARD
    if not path.is_file():
        raise InputError(f"{path} is missing; write one with the keys dataset, model and description")
    try:
        return Card.model_validate(yaml12.read(path)[1])
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise InputError(f"{path} must have the keys dataset, model and description as text: {faults}") from None


def _read_run(folder: Path, card: Card, place: Path, like: Run, train_on: TrainOn) -> Run:
    """Return the predictions of a folder as a run.

    The dataset is at ``place``, ``build/datasets/<dataset>``; a run on it, ``like``, gives samples, folds and groups.

    Raises:
        InputError: naming the file, if predictions are missing, are not of the samples that the fold holds out, have
            other labels, or are no probabilities.
    """
    train, test, table = load(place, "train"), load(place, "test"), read_folds(place / FOLDS)
    correct = np.zeros(like.correct.shape, np.bool_)
    for number in table.numbers:
        rows = table.split(number, train_on)[1]
        right = _correct(folder, f"fold-{number}", train, rows, f"the samples that fold {number} holds out")
        correct[number // table.count, np.searchsorted(like.ids, train.ids[rows])] = right
    order = np.argsort(test.ids)
    rows = order[np.searchsorted(test.ids, like.test_ids, sorter=order)]
    on_test = [_correct(folder, f"test-{number}", test, rows, "the test samples") for number in table.numbers]
    test_correct = np.reshape(on_test, like.test_correct.shape)
    return replace(like, model=card.model, correct=correct, test_correct=test_correct)


def _correct(folder: Path, stem: str, dataset: Dataset, rows: NDArray[np.int64], what: str) -> NDArray[np.bool_]:
    """Return which samples a file predicts correctly, (n,), in the order of ``rows``."""
    found = [path for suffix in (".csv", ".npz") if (path := folder / f"{stem}{suffix}").is_file()]
    if len(found) != 1:
        there = "both are there" if found else "neither is there"
        raise InputError(f"{folder} must hold {stem}.csv or {stem}.npz, the predictions of {what}; {there}")
    path, expected = found[0], dataset.ids[rows]
    given = _csv(path, dataset.classes) if path.suffix == ".csv" else read_named(path, _ARRAYS, "add them")
    lengths = {name: len(given[name]) for name in _ARRAYS}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{path} must have as many labels and probabilities as ids, got {lengths}")
    _check_ids(path, given["ids"], expected, what)
    order = np.argsort(given["ids"])[np.argsort(np.argsort(expected))]
    labels = given["labels"][order]
    wrong = labels != dataset.labels[rows]
    if wrong.any():
        raise InputError(
            f"{path} has other labels than the dataset for {int(wrong.sum())} samples (ids "
            f"{expected[wrong][:_SHOWN].tolist()}); the classes are, in this order: {', '.join(dataset.classes)}"
        )
    _check_probabilities(path, given["probabilities"], len(dataset.classes))
    right: NDArray[np.bool_] = given["probabilities"][order].argmax(axis=1) == labels
    return right


def _check_ids(path: Path, ids: NDArray[np.int64], expected: NDArray[np.int64], what: str) -> None:
    if np.array_equal(np.sort(ids), np.sort(expected)):
        return
    names, counts = np.unique(ids, return_counts=True)
    faults = {
        "missing": np.setdiff1d(expected, ids),
        "not among them": np.setdiff1d(ids, expected),
        "repeated": names[counts > 1],
    }
    listed = "; ".join(f"{len(each)} {name}, as {each[:_SHOWN].tolist()}" for name, each in faults.items() if len(each))
    raise InputError(
        f"{path} must predict {what} once each, {len(expected)} ids: {listed}. "
        "Project.fold_table of the Python API lists the ids of each fold"
    )


def _check_probabilities(path: Path, stated: NDArray[Any], classes: int) -> None:
    if stated.ndim != 2 or stated.shape[1] != classes:
        raise InputError(f"{path} must have probabilities (n, {classes}), a column for each class; got {stated.shape}")
    sums = stated.sum(axis=1)
    bad = ~((stated >= 0).all(axis=1) & (np.abs(sums - 1) <= _SUM))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(
            f"{path} must have probabilities from 0 to 1 whose sum is 1 for each sample; those of row {row + 1} sum to "
            f"{sums[row]:.4g}. Scores of a model need a softmax"
        )


def _csv(path: Path, classes: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    try:  # text alone, because pandas takes classes such as NA and null for missing values
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as a CSV file in UTF-8 ({str(error).strip()})") from None
    missing = [name for name in ("id", "label", *classes) if name not in table]
    if missing:
        raise InputError(f"{path} must have the columns id, label, {', '.join(classes)}; it lacks {', '.join(missing)}")
    try:
        ids, probabilities = table["id"].to_numpy().astype(np.int64), table[list(classes)].to_numpy().astype(np.float64)
    except ValueError as error:
        raise InputError(f"{path} must have whole numbers as id and numbers as probabilities: {error}") from None
    return {
        "ids": ids,
        "labels": pd.Index(classes).get_indexer(pd.Index(table["label"])),
        "probabilities": probabilities,
    }

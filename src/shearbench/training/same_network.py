"""One network cross-validated again and again (A/A): nothing but the seed differs within a draw of digits.

A *draw* is some training digits of a dataset, dealt to folds, and some others set aside as its test; the sealed test
set is not opened. In each draw the network is cross-validated ``SEEDS`` times, from other seeds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import CARD, Dataset, load
from shearbench.data.deal import first_occurrences, units_of
from shearbench.data.folds import make_folds
from shearbench.errors import InputError
from shearbench.execution import Advance
from shearbench.records import write_npz
from shearbench.seeds import seed_for
from shearbench.training.config import Selection, TrainingConfig, TrainingState, assemble
from shearbench.training.hardware import settle
from shearbench.training.loop import fit
from shearbench.training.weights import predict

SEEDS = 4
_SKLEARN_SEEDS = 2**32


@dataclass(frozen=True)
class DrawsTask:
    """Some draws, by number: what is trained on how many digits of which dataset, and the file it goes to."""

    config: TrainingConfig
    dataset: Path
    samples: int
    tests: int
    folds: int
    draws: range
    out: Path

    def reads(self) -> tuple[Path, ...]:
        """Return the files that the draws need."""
        return (self.dataset / CARD, self.dataset / "train.npz")

    def writes(self) -> tuple[Path, ...]:
        """Return the file that the draws go to."""
        return (self.out,)


def train_draws(task: DrawsTask, advance: Advance) -> None:
    """Cross-validate the network ``SEEDS`` times in each draw, and write who was right on which digit.

    The file holds, draw by draw: ``ids`` and ``folds`` int64 (draws, n), ``correct`` bool (draws, seeds, n), out of
    fold; ``test_ids`` (draws, m), ``test_correct`` (draws, seeds, folds, m).

    Raises:
        InputError: if the dataset has too few different digits.
    """
    settle(task.config.hardware)
    dataset = load(task.dataset, "train")
    made = []
    for draw in task.draws:
        made.append(_cross_validate(task, dataset, draw))
        advance(1)
    write_npz(task.out, {name: np.stack([each[name] for each in made]) for name in made[0]})


def draw_rows(dataset: Dataset, *, samples: int, tests: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of different digits, stratified by class: some to cross-validate, and some others as their test.

    Raises:
        InputError: if there are too few.
    """
    different, _ = first_occurrences(dataset.inputs)
    if samples + tests > len(different):
        raise InputError(
            f"aa draws {samples} + {tests} different digits, but {dataset.name} has {len(different)} for training; "
            "lower aa.samples or aa.tests in params.yaml"
        )
    from sklearn.model_selection import train_test_split

    rows, aside = train_test_split(
        different,
        train_size=samples,
        test_size=tests,
        stratify=dataset.labels[different],
        random_state=seed % _SKLEARN_SEEDS,
    )
    return np.sort(rows), np.sort(aside)


def _cross_validate(task: DrawsTask, dataset: Dataset, draw: int) -> dict[str, NDArray[Any]]:
    seed = task.config.seed
    rows, aside = draw_rows(dataset, samples=task.samples, tests=task.tests, seed=seed_for(seed, "aa", "draw", draw))
    drawn, test = dataset.only(rows), dataset.only(aside)
    dealt = seed_for(seed, "aa", "folds", draw)
    folds = make_folds(units_of(drawn.inputs, drawn.groups), drawn.labels, folds=task.folds, seed=dealt)
    correct = np.empty((SEEDS, task.samples), bool)
    test_correct = np.empty((SEEDS, task.folds, task.tests), bool)
    for number, fold in np.ndindex(SEEDS, task.folds):
        held_out = folds == fold
        begun = seed_for(seed, "aa", draw, number, fold)
        training_state = assemble(task.config, drawn, Selection(np.flatnonzero(~held_out)), seed=begun)
        fit(training_state.network, training_state.optimiser, training_state.splits, training_state.fit_config)
        correct[number, held_out] = _right(training_state, drawn.only(np.flatnonzero(held_out)))
        test_correct[number, fold] = _right(training_state, test)
    return {"ids": drawn.ids, "folds": folds, "correct": correct, "test_ids": test.ids, "test_correct": test_correct}


def _right(training_state: TrainingState, part: Dataset) -> NDArray[np.bool_]:
    said = predict(training_state.network, part.inputs, normaliser=training_state.normaliser)
    right: NDArray[np.bool_] = said.argmax(axis=1) == part.labels
    return right

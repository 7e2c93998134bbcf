"""A/A trainings: draws are stratified and disjoint, seeds differ, and one draw gives the same bits in any block."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shearbench.data.dataset import Dataset, load
from shearbench.errors import InputError
from shearbench.records import read_npz
from shearbench.training.same_network import SEEDS, DrawsTask, draw_rows, train_draws


@pytest.fixture
def task(make_config: Any, data: Path, tmp_path: Path) -> DrawsTask:
    return DrawsTask(make_config(epochs=12), data / "patterns", 60, 50, 3, range(2), tmp_path / "draws.npz")


def test_a_draw_is_stratified_and_keeps_its_test_apart(data: Path) -> None:
    dataset = load(data / "patterns", "train")
    rows, aside = draw_rows(dataset, samples=60, tests=50, seed=1)
    assert not set(rows) & set(aside)
    assert np.bincount(dataset.labels[rows], minlength=10).tolist() == [6] * 10
    assert np.bincount(dataset.labels[aside], minlength=10).tolist() == [5] * 10
    again, other = (draw_rows(dataset, samples=60, tests=50, seed=seed)[0] for seed in (1, 2))
    np.testing.assert_array_equal(rows, again)
    assert not np.array_equal(rows, other)


def test_copies_are_drawn_once(data: Path) -> None:
    dataset = load(data / "patterns", "train")
    some = dataset.only(np.arange(60))
    copies = Dataset("copies", np.arange(120), np.tile(some.inputs, (2, 1, 1, 1)), np.tile(some.labels, 2))
    with pytest.raises(InputError, match=r"aa draws 60 \+ 50 different digits, but copies has 60"):
        draw_rows(copies, samples=60, tests=50, seed=1)


def test_a_block_holds_the_cross_validations_of_its_draws(task: DrawsTask) -> None:
    done: list[int] = []
    train_draws(task, done.append)
    assert done == [1, 1]
    found = read_npz(task.out)
    assert {name: array.shape for name, array in found.items()} == {
        "ids": (2, 60),
        "folds": (2, 60),
        "correct": (2, SEEDS, 60),
        "test_ids": (2, 50),
        "test_correct": (2, SEEDS, 3, 50),
    }
    assert 0.2 < found["correct"].mean() <= 1, "networks that learn nothing are no test"
    alike = [np.array_equal(found["test_correct"][0, a], found["test_correct"][0, b]) for a, b in ((0, 1), (2, 3))]
    assert not any(alike), "other seeds must give other networks"
    assert not np.array_equal(found["folds"][0], found["folds"][1])


def test_a_draw_does_not_depend_on_its_block(task: DrawsTask, tmp_path: Path) -> None:
    train_draws(task, lambda _: None)
    train_draws(replace(task, draws=range(1, 2), out=tmp_path / "one.npz"), lambda _: None)
    both, one = read_npz(task.out), read_npz(tmp_path / "one.npz")
    for name, array in one.items():
        np.testing.assert_array_equal(array[0], both[name][1])

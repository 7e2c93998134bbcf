"""Draws for the calibration of the statistical tests: classifiers of equal accuracy and of different kinds.

A draw takes digits of some writers of MNIST for training and of other writers for the test. In design ``folds`` the
training digits are dealt to 5 folds by writer, and each network is trained on 4 of them; in design ``disjoint`` each of
10 networks is trained on its own writers. What is stored is which digits every network reads rightly. All tests are
computed from it (``benchmarks/calibration.py``).

The classifiers are fast (2 to 15 ms a training on 14 x 14 pixels) and unlike: nearest neighbours, a network trained by
gradient descent, random convolutions and random features with a ridge regression. Their widths and epochs were tuned on
300 other draws until the first four of design ``folds`` were equally accurate: 83.6 % with 400 digits.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shearbench.data.mnist import Part
from shearbench.data.units import assign_parts
from shearbench.records import read_npz, write_npz
from shearbench.seeds import generator_for, seed_for

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Classifier = Callable[[Floats, Ints, Floats, np.random.Generator], Ints]
"""Training inputs (n, pixels) and labels (n,), inputs to read (m, pixels), generator -> classes (m,)."""

BLOCK = 10
"""Draws of one file, the unit of work."""
CLASSES = 10
SIDE = 28


@dataclass(frozen=True)
class DrawDesign:
    """Writers and digits of a draw; ``sets`` networks of each classifier."""

    name: str
    train_writers: int
    test_writers: int
    per_writer: int
    sets: int


FOLDS = DrawDesign("folds", 50, 60, 10, 5)
DISJOINT = DrawDesign("disjoint", 100, 60, 10, 10)


def neighbours(k: int) -> Classifier:
    """Return the class of the most of the k nearest training images."""

    def classify(x: Floats, y: Ints, read: Floats, _: np.random.Generator) -> Ints:
        distances = (x**2).sum(axis=1) - 2 * read @ x.T
        nearest = np.argpartition(distances, k, axis=1)[:, :k] if k > 1 else distances.argmin(axis=1)[:, np.newaxis]
        votes = np.zeros((len(read), CLASSES), np.int64)
        np.add.at(votes, (np.arange(len(read))[:, np.newaxis], y[nearest]), 1)
        return votes.argmax(axis=1)

    return classify


def perceptron(units: int, *, epochs: int, rate: float, batch: int = 50) -> Classifier:
    """Return a network with one hidden layer, trained by plain stochastic gradient descent."""

    def classify(x: Floats, y: Ints, read: Floats, rng: np.random.Generator) -> Ints:
        w = (rng.normal(size=(x.shape[1], units)) * np.sqrt(2 / x.shape[1])).astype(np.float32)
        v = (rng.normal(size=(units, CLASSES)) / np.sqrt(units)).astype(np.float32)
        a, b = np.zeros(units, np.float32), np.zeros(CLASSES, np.float32)
        for _ in range(epochs):
            order = rng.permutation(len(x))
            for rows in (order[start : start + batch] for start in range(0, len(x), batch)):
                inner = x[rows] @ w + a
                hidden = np.maximum(inner, 0)
                scores = hidden @ v + b
                chances = np.exp(scores - scores.max(axis=1, keepdims=True))
                chances /= chances.sum(axis=1, keepdims=True)
                chances[np.arange(len(rows)), y[rows]] -= 1
                wrong = chances / len(rows)
                back = (wrong @ v.T) * (inner > 0)
                v -= rate * hidden.T @ wrong
                b -= rate * wrong.sum(axis=0)
                w -= rate * x[rows].T @ back
                a -= rate * back.sum(axis=0)
        return np.asarray((np.maximum(read @ w + a, 0) @ v + b).argmax(axis=1))

    return classify


def random_convolutions(maps: int, *, ridge: float) -> Classifier:
    """Return a ridge regression on pooled maps of random 3 x 3 filters."""

    def classify(x: Floats, y: Ints, read: Floats, rng: np.random.Generator) -> Ints:
        filters = torch.from_numpy(rng.normal(size=(maps, 1, 3, 3)).astype(np.float32))
        filters -= filters.mean(dim=(1, 2, 3), keepdim=True)

        def features(images: Floats) -> Floats:
            found = torch.nn.functional.conv2d(torch.from_numpy(images.reshape(-1, 1, SIDE // 2, SIDE // 2)), filters)
            return np.asarray(torch.nn.functional.avg_pool2d(torch.relu(found), 3).flatten(1).numpy())

        return _ridge(features(x), y, features(read), ridge)

    return classify


def random_features(units: int, *, ridge: float) -> Classifier:
    """Return a ridge regression on the units of a random hidden layer."""

    def classify(x: Floats, y: Ints, read: Floats, rng: np.random.Generator) -> Ints:
        w = (0.2 * rng.normal(size=(x.shape[1], units))).astype(np.float32)
        a = (0.5 * rng.normal(size=units)).astype(np.float32)
        return _ridge(np.maximum(x @ w + a, 0), y, np.maximum(read @ w + a, 0), ridge)

    return classify


def _ridge(x: Floats, y: Ints, read: Floats, strength: float) -> Ints:
    targets = np.where(y[:, np.newaxis] == np.arange(CLASSES), np.float32(1), np.float32(-1))
    x, read = (np.hstack([part, np.ones((len(part), 1), np.float32)]) for part in (x, read))
    if x.shape[1] <= len(x):
        weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1], dtype=np.float32), x.T @ targets)
    else:
        weights = x.T @ np.linalg.solve(x @ x.T + strength * np.eye(len(x), dtype=np.float32), targets)
    return np.asarray((read @ weights).argmax(axis=1))


CLASSIFIERS: Mapping[str, Mapping[str, Classifier]] = {
    "folds": {
        "neighbours": neighbours(1),
        "perceptron": perceptron(32, epochs=24, rate=0.3),
        "convolutions": random_convolutions(4, ridge=1.0),
        "features": random_features(415, ridge=10.0),
        "perceptron, other seeds": perceptron(32, epochs=24, rate=0.3),
        "neighbours, 3": neighbours(3),
        "convolutions, 6": random_convolutions(6, ridge=1.0),
    },
    "disjoint": {
        "neighbours": neighbours(1),
        "perceptron": perceptron(32, epochs=45, rate=0.3),
        "convolutions": random_convolutions(4, ridge=1.5),
        "perceptron, other seeds": perceptron(32, epochs=45, rate=0.3),
    },
}
"""Of each design; in ``folds`` the first four are equally accurate."""


def make_draws(part: Part, design: DrawDesign, *, draws: int, seed: int, folder: Path) -> Mapping[str, NDArray]:
    """Make the draws that are not there yet, a file for ten of them, and return all, stacked along the first axis."""
    blocks = []
    for first in range(0, draws, BLOCK):
        path = folder / f"{design.name}-{_code_hash()}-{seed}-{len(part.labels)}-{first}.npz"
        if not path.is_file():
            made = [_draw(part, design, seed, number) for number in range(first, first + BLOCK)]
            write_npz(path, {name: np.stack([each[name] for each in made]) for name in made[0]})
        blocks.append(read_npz(path))
    return {name: np.concatenate([block[name] for block in blocks])[:draws] for name in blocks[0]}


def _code_hash() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def _draw(part: Part, design: DrawDesign, seed: int, number: int) -> dict[str, NDArray]:
    """Return one draw: groups and folds of its digits, and who reads them rightly."""
    rng = generator_for(seed, "calibration", design.name, number)
    train, test = _rows(part.groups, design, rng)
    labels = part.labels.astype(np.int64)
    used = np.concatenate([train, test])
    x = np.zeros((len(part.images), (SIDE // 2) ** 2), np.float32)
    x[used] = part.images[used].reshape(-1, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4)).reshape(len(used), -1) / 255
    folds = assign_parts(
        part.groups[train], labels[train], [1 / design.sets] * design.sets, seed=seed_for(seed, number)
    )
    classifiers = CLASSIFIERS[design.name]
    held_out = np.zeros((len(classifiers), len(train)), bool)
    tested = np.zeros((len(classifiers), design.sets, len(test)), bool)
    for fold in range(design.sets):
        outside = folds == fold
        rows = train[outside if design is DISJOINT else ~outside]
        read = test if design is DISJOINT else np.concatenate([train[outside], test])
        for index, (name, classify) in enumerate(classifiers.items()):
            own = generator_for(seed, "calibration", design.name, number, fold, name)
            right = classify(x[rows], labels[rows], x[read], own) == labels[read]
            tested[index, fold] = right[-len(test) :]
            if design is FOLDS:
                held_out[index, outside] = right[: -len(test)]
    return {
        "folds": folds.astype(np.int8),
        "groups": part.groups[train].astype(np.int16),
        "test_groups": part.groups[test].astype(np.int16),
        "correct": held_out,
        "test_correct": tested,
    }


def _rows(groups: Ints, design: DrawDesign, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return as many digits of each writer that is drawn: rows for training, and rows of other writers for the test."""
    names, sizes = np.unique(groups, return_counts=True)
    able = rng.permutation(names[sizes >= design.per_writer])
    drawn = able[: design.train_writers + design.test_writers]
    rows = np.array([rng.choice(np.flatnonzero(groups == name), design.per_writer, replace=False) for name in drawn])
    return rows[: design.train_writers].ravel(), rows[design.train_writers :].ravel()

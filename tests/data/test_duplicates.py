"""Duplicates: planted copies are found, and correlation is NumPy's."""

import numpy as np
import pytest

from shearbench.data.duplicates import Alike, find


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 28, 28)).astype(np.float32)


def test_copies_are_paired_with_their_first_occurrence() -> None:
    inputs = noise(8)[[0, 1, 2, 1, 3, 1, 2]]
    assert find(inputs, near=0.9) == [Alike(1, 3, True, 1.0), Alike(1, 5, True, 1.0), Alike(2, 6, True, 1.0)]


def test_a_slightly_changed_copy_is_near_and_its_correlation_is_the_cosine_about_the_mean() -> None:
    inputs = noise(700)  # more than one block of rows
    inputs[650] = inputs[3] + 0.1 * inputs[4]
    (pair,) = find(inputs, near=0.9)
    assert (pair.first, pair.second, pair.exact) == (3, 650, False)
    a, b = (inputs[[3, 650]].astype(np.float64) - inputs.mean(axis=0, dtype=np.float64)).reshape(2, -1)
    assert pair.correlation == pytest.approx(a @ b / np.sqrt(a @ a * (b @ b)), abs=1e-4)


def test_all_pairs_agree_with_the_full_matrix() -> None:
    inputs = noise(600)[:, :, :2, :2]  # few values: some correlate by chance
    flat = inputs.reshape(600, -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    expected = np.argwhere(np.triu(flat @ flat.T >= 0.9, k=1))
    assert len(expected) > 50
    assert sorted((pair.first, pair.second) for pair in find(inputs, near=0.9)) == sorted(map(tuple, expected.tolist()))


def test_a_black_image_among_black_images_is_a_copy_and_nothing_is_divided_by_zero() -> None:
    assert find(np.zeros((3, 1, 28, 28), np.uint8), near=0.5) == [Alike(0, 1, True, 1.0), Alike(0, 2, True, 1.0)]

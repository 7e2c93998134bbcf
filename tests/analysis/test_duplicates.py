"""Duplicates: planted copies are found, and correlation is NumPy's."""

import networkx as nx
import numpy as np
import pytest

from shearbench.analysis.exploration import Alike, find_duplicates


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 2, 28, 28)).astype(np.float32)


def test_copies_are_paired_with_their_first_occurrence() -> None:
    inputs = noise(8)[[0, 1, 2, 1, 3, 1, 2]]
    assert find_duplicates(inputs, near=0.9) == [Alike(1, 3, True, 1.0), Alike(1, 5, True, 1.0), Alike(2, 6, True, 1.0)]


def test_a_slightly_changed_copy_is_near_and_its_correlation_is_the_cosine_about_the_mean() -> None:
    inputs = noise(700)  # more than one block of rows
    inputs[650] = inputs[3] + 0.1 * inputs[4]
    (pair,) = find_duplicates(inputs, near=0.9)
    assert (pair.first, pair.second, pair.exact) == (3, 650, False)
    a, b = (inputs[[3, 650]].astype(np.float64) - inputs.mean(axis=0, dtype=np.float64)).reshape(2, -1)
    assert pair.correlation == pytest.approx(a @ b / np.sqrt(a @ a * (b @ b)), abs=1e-4)


def test_groups_are_those_of_the_full_matrix_and_a_group_of_m_has_the_m_less_one_most_alike_pairs() -> None:
    inputs = noise(600)[:, :, :2, :2]  # few values: some correlate by chance
    flat = inputs.reshape(600, -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    correlation = flat @ flat.T
    expected = nx.Graph()
    for first, second in np.argwhere(np.triu(correlation >= 0.9, k=1)).tolist():
        expected.add_edge(first, second, weight=correlation[first, second])
    found = [(pair.first, pair.second) for pair in find_duplicates(inputs, near=0.9)]
    assert len(expected.edges) > len(found) > 50
    assert found == sorted(found)
    assert all(first < second for first, second in found)
    tree = nx.maximum_spanning_tree(expected)  # Kruskal's, of another library
    assert {frozenset(pair) for pair in found} == {frozenset(pair) for pair in tree.edges}


def test_two_groups_of_1500_samples_that_are_nearly_equal_take_a_pair_for_each_but_one_of_a_group() -> None:
    inputs = 0.02 * noise(1500)
    inputs[:1400] += noise(1)[0]  # the other 100 lie on the other side of the mean sample
    found = find_duplicates(inputs, near=0.9)
    assert len(found) == 1399 + 99
    assert {pair.first < 1400 for pair in found if pair.second < 1400} == {True}
    assert sum(pair.second < 1400 for pair in found) == 1399


def test_a_black_image_among_black_images_is_a_copy_and_nothing_is_divided_by_zero() -> None:
    assert find_duplicates(np.zeros((3, 1, 28, 28), np.uint8), near=0.5) == [
        Alike(0, 1, True, 1.0),
        Alike(0, 2, True, 1.0),
    ]

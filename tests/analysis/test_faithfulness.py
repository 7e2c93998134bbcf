"""Measures of maps worked out by hand, and curves of networks whose probabilities are known."""

import numpy as np
import pytest
import torch
from torch import nn

from shearbench.analysis.gradcam.measure import STEPS, curve, explanation, random_maps, ranks_of
from shearbench.analysis.gradcam.summarise import agreement, area, disagreement, entropy, share_within
from shearbench.data.trend import homogeneous_field
from shearbench.models import build
from shearbench.models.interface import Inputs
from small_model import FIELDS, trained_of


class Total(nn.Module):
    """The logit of class 3 is the sum of the input, all others are 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.tensor(3), 10) * x.sum(dim=(1, 2, 3))[:, None]


def test_probability_falls_as_pixels_are_taken_away() -> None:
    """Of 784 equal pixels 56 go at each step: the logit is linear in the step, whatever the order."""
    inputs = np.full((2, 1, 28, 28), 0.01, np.float32)
    trained = trained_of(Total(), inputs, np.array([3, 4]))
    ranks = ranks_of(np.random.default_rng(0).random((2, 28, 28)), np.zeros((2, 784)))
    found = curve(trained, np.array([3, 3]), ranks, inputs, trained.blank)
    logit = 7.84 * (1 - np.arange(STEPS + 1) / STEPS)
    expected = np.exp(logit) / (np.exp(logit) + 9)
    np.testing.assert_allclose(found, [expected, expected], rtol=1e-5)
    risen = curve(trained, np.array([3, 3]), ranks, trained.blank, inputs)
    np.testing.assert_allclose(risen[:, ::-1], found, rtol=1e-5)


def test_the_weightiest_pixels_go_first() -> None:
    inputs = np.zeros((1, 1, 28, 28), np.float32)
    inputs[0, 0, 9, 9] = 50.0  # all that the network looks at
    trained = trained_of(Total(), inputs, np.array([3]))
    good, bad = np.zeros((1, 28, 28)), np.ones((1, 28, 28))
    good[0, 9, 9], bad[0, 9, 9] = 1.0, 0.0
    ties = np.random.default_rng(0).random((1, 784))
    fast = curve(trained, np.array([3]), ranks_of(good, ties), inputs, trained.blank)[0]
    slow = curve(trained, np.array([3]), ranks_of(bad, ties), inputs, trained.blank)[0]
    assert fast == pytest.approx([1.0] + [0.1] * STEPS)
    assert slow == pytest.approx([1.0] * STEPS + [0.1])


def test_ranks_break_ties_by_the_draw() -> None:
    maps = np.array([[[0.0, 0.7], [0.0, 0.9]]])
    assert ranks_of(maps, np.array([[0.8, 0.5, 0.1, 0.2]])).tolist() == [[3, 1, 2, 0]]
    assert ranks_of(maps, np.array([[0.1, 0.5, 0.8, 0.2]])).tolist() == [[2, 1, 3, 0]]


def test_area_is_the_trapezium_rule() -> None:
    assert area(np.array([[1.0, 0.5, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])) == pytest.approx([0.5, 1.0, 0.25])


def test_entropy_of_maps_known_by_heart() -> None:
    maps = np.zeros((4, 28, 28), np.float32)
    maps[0] = 0.3
    maps[1, 2, 3] = 0.9
    maps[2, 2, :2] = 0.5
    found = entropy(maps)
    assert found[:3] == pytest.approx([1.0, 0.0, np.log(2) / np.log(784)])
    assert np.isnan(found[3])


def test_share_on_the_stroke() -> None:
    maps = np.array([[[[3.0, 1.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]], np.float32)
    stroke = np.array([[[True, False], [True, False]]])
    found = share_within(maps, stroke)
    assert found[0, 0] == pytest.approx(0.75)
    assert np.isnan(found[1, 0])


def test_agreement_of_networks_and_of_habits() -> None:
    generator = np.random.default_rng(0)
    first = generator.random((2, 5, 5)).astype(np.float32)
    second = np.stack([2 * first[0] + 1, -first[1] + 1])  # digit 0 agrees wholly, digit 1 is the opposite
    assert agreement(np.stack([first, second])) == pytest.approx([1.0, -1.0])
    cross = np.corrcoef(np.concatenate([first, second]).reshape(4, -1))
    expected = np.mean([cross[0, 3], cross[1, 2]])
    assert disagreement(np.stack([first, second]), np.array([4, 7])) == pytest.approx(expected)
    third = np.zeros_like(first)  # a network without maps has no say
    assert agreement(np.stack([first, second, third])) == pytest.approx([1.0, -1.0])
    assert np.isnan(agreement(np.stack([third, third]))).all()
    assert np.isnan(disagreement(np.stack([first, second]), np.array([4, 4])))


def test_random_maps_are_of_the_networks_resolution() -> None:
    maps = random_maps(3, (4, 4), (28, 28), np.random.default_rng(0))
    assert maps.shape == (3, 28, 28)
    flat = random_maps(1, (1, 1), (28, 28), np.random.default_rng(0))
    np.testing.assert_allclose(flat, flat.mean(), rtol=1e-6)
    assert 0 <= maps.min() <= maps.max() < 1


def test_probe_begins_and_ends_at_what_the_network_says() -> None:
    inputs = np.random.default_rng(1).integers(0, 256, (20, 1, 28, 28)).astype(np.uint8)
    labels = np.arange(20) % 10
    network = build("cnn2", inputs=Inputs(1), width=0.25, options={}, seed=2)
    trained = trained_of(network, inputs, labels, explained=2)
    arrays = explanation(trained).arrays
    rows = arrays["rows"]
    assert labels[rows].tolist() == [label for label in range(10) for _ in range(2)]
    whole = trained.probabilities(inputs[rows])[np.arange(20), labels[rows]]
    empty = trained.probabilities(np.zeros_like(inputs[rows]))[np.arange(20), labels[rows]]
    for prefix in ("", "random_"):
        np.testing.assert_allclose(arrays[f"{prefix}deletion"][:, [0, -1]].T, [whole, empty], rtol=1e-5)
        np.testing.assert_allclose(arrays[f"{prefix}insertion"][:, [0, -1]].T, [empty, whole], rtol=1e-5)


def test_a_field_without_a_digit_is_that_of_the_empty_block() -> None:
    fields = np.zeros((10, 2, 28, 28), np.float32)
    trained = trained_of(Total(), fields, np.arange(10), entry=FIELDS)
    np.testing.assert_allclose(trained.blank, homogeneous_field("shear", 5, (28, 28)), atol=1e-6)
    assert trained.blank[0, 0].mean() > 0.9  # the top moves by d = 1

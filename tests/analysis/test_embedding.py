"""Separation of classes worked out by hand, and the layer that it is measured in."""

import numpy as np
import pytest
import torch

from shearbench.analysis.activations.compare import COLOURS
from shearbench.analysis.activations.measure import embedding, penultimate, separation
from shearbench.models import build
from shearbench.models.interface import Inputs
from small_model import trained_of


def _luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    shares = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", COLOURS)
def test_each_class_stands_out_from_white_and_from_the_dark_page(colour: str) -> None:
    assert 1.05 / (_luminance(colour) + 0.05) > 1.6
    assert (_luminance(colour) + 0.05) / (_luminance("#14171a") + 0.05) >= 3


def test_silhouette_and_purity_by_hand() -> None:
    points = np.array([[0.0, 0.0], [0.0, 1.0], [4.0, 0.0]], np.float32)
    points = np.concatenate([points, [[4.0, 1.0]]]).astype(np.float32)
    silhouette, purity = separation(points, np.array([0, 0, 1, 1]))
    b = (4 + np.hypot(4, 1)) / 2  # mean distance to the two of the other class; a = 1 for every point
    assert silhouette == pytest.approx((b - 1) / b)
    assert purity == pytest.approx(1 / 3)  # all three others are neighbours, one of them of its class


def test_purity_looks_at_ten_neighbours_and_not_at_the_point_itself() -> None:
    line = np.arange(24, dtype=np.float32)[:, None]
    labels = (np.arange(24) >= 12).astype(int)
    ten = [np.argsort(np.abs(np.delete(line, i) - line[i]), kind="stable")[:10] for i in range(24)]
    expected = np.mean([(np.delete(labels, i)[near] == labels[i]).mean() for i, near in enumerate(ten)])
    assert separation(line, labels)[1] == pytest.approx(expected, abs=0.02)  # ties at equal distance


@pytest.mark.parametrize(("architecture", "units"), [("mlp", 32), ("cnn2", 32), ("resnet18", 128)])
def test_penultimate_is_what_the_last_layer_reads(architecture: str, units: int) -> None:
    network = build(architecture, inputs=Inputs(1), width=0.25, options={}, seed=0).eval()
    inputs = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    found = penultimate(network, inputs)
    assert found.shape == (5, units)
    with torch.no_grad():
        logits = list(network.children())[-1](torch.from_numpy(found))
        torch.testing.assert_close(logits, network(inputs))


def test_probe_embeds_the_first_fold_alone_and_the_same_digits_in_every_fold() -> None:
    generator = np.random.default_rng(0)
    inputs = generator.integers(0, 256, (60, 1, 28, 28)).astype(np.uint8)
    labels = np.arange(60) % 10
    network = build("mlp", inputs=Inputs(1), width=0.1, options={}, seed=0)
    first, again, second = (embedding(trained_of(network, inputs, labels, fold=fold)) for fold in (0, 0, 1))
    assert np.array_equal(first.arrays["rows"], second.arrays["rows"])
    assert np.array_equal(first.arrays["places"], again.arrays["places"])
    assert first.arrays["places"].shape == (40, 2)
    assert "places" not in second.arrays
    assert first.facts["perplexity"] == 13.0  # (40 - 1) / 3
    seen = first.arrays["inputs"]
    assert seen == pytest.approx(separation(inputs[first.arrays["rows"]].reshape(40, -1), labels[first.arrays["rows"]]))

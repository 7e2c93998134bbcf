"""The noise probe against a network whose accuracy under noise is a normal probability."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from shearbench.analysis.corruption.measure import noise, own_deviation
from small_model import FIELDS, IMAGES, trained_of


class OnePixel(nn.Module):
    """Class 1 where a pixel of channel 0 (less that of the last channel) is above ``middle``, class 0 elsewhere."""

    def __init__(self, middle: float = 0.0) -> None:
        super().__init__()
        self.middle = middle

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = x[:, 0, 5, 5] - (x[:, -1, 5, 5] if x.shape[1] > 1 else self.middle)
        return torch.stack([-value, value, *[torch.full_like(value, -1e3)] * 8], dim=1)


def signs(n: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    inputs = np.zeros((n, channels, 28, 28), np.float32)
    inputs[:, 0, 5, 5] = 2.0 * labels - 1
    return inputs, labels


def test_own_deviation_is_that_between_samples() -> None:
    inputs = np.zeros((2, 2, 1, 2), np.uint8)
    inputs[:, 0] = 100  # the same in every sample counts nothing
    inputs[1, 0, 0, 0] = 104  # deviations 2 and 0: root mean square sqrt(2)
    inputs[1, 1] = 6  # deviations 3 and 3
    assert own_deviation(inputs) == pytest.approx([np.sqrt(2), 3.0])


def test_accuracy_is_the_normal_probability_that_noise_leaves_the_sign() -> None:
    inputs, labels = signs(3000, channels=2)
    noisy = {"levels": [20.0], "raw": [0.5, 1.0, 2.0], "draws": 2}
    measured = noise(trained_of(OnePixel(), inputs, labels, entry=FIELDS, samples=3000, noise=noisy))
    deviation = measured.facts["deviation"][0]
    assert deviation == pytest.approx(1 / 28)  # one pixel of 784 has deviation 1
    # channel 1 is noise alone in the raw levels (its own deviation is 0): the difference has variance 2 sd^2
    expected = [stats.norm.cdf(1 / (20 * deviation)), *(stats.norm.cdf(1 / (sd * np.sqrt(2))) for sd in (0.5, 1, 2))]
    found = measured.arrays["correct"].mean(axis=(1, 2))
    assert measured.arrays["correct"].shape == (4, 2, 3000)
    assert found == pytest.approx(expected, abs=0.015)
    assert measured.arrays["clean"].all()


@pytest.mark.parametrize(("dtype", "middle", "scale"), [(np.uint8, 128, 255), (np.float32, 0, 2)])
def test_raw_levels_of_images_are_shares_of_the_grey_scale(dtype: type, middle: int, scale: int) -> None:
    """Of bytes the scale is 255, of numbers from the least to the largest: here from -1 to 1."""
    inputs, labels = signs(3000, channels=1)
    noisy = {"levels": [1.0], "raw": [1 / scale], "draws": 1}
    shifted = (inputs + middle).astype(dtype)
    measured = noise(trained_of(OnePixel(middle), shifted, labels, samples=3000, noise=noisy))
    assert measured.facts["scale"] == scale
    assert measured.arrays["correct"][1].mean() == pytest.approx(stats.norm.cdf(1), abs=0.015)


def test_both_channels_of_a_doubled_image_have_the_same_noise() -> None:
    inputs, labels = signs(60, channels=2)
    noisy = {"levels": [1.0], "raw": [100.0], "draws": 1}
    entry = {**IMAGES, "channels": 2}
    measured = noise(trained_of(OnePixel(), inputs, labels, entry=entry, samples=60, noise=noisy))
    assert measured.arrays["correct"].all(), "the network takes the difference of the channels"


def test_noise_is_named_by_fold_and_draw() -> None:
    inputs, labels = signs(200, channels=1)
    noisy = {"levels": [1.0], "raw": [0.5], "draws": 2}  # of a scale from -1 to 1: as strong as the pixel
    first, again, other = (
        noise(trained_of(OnePixel(), inputs, labels, fold=fold, samples=200, noise=noisy)).arrays["correct"]
        for fold in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first[1, 0], first[1, 1])

"""Measures of displacement on fields known in closed form, and the area under the ROC curve against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from shearbench.analysis.displacement.measures import (
    area_with_interval,
    class_means,
    gradient_norm,
    length,
    measures,
    oddness,
    quantile_of,
    within,
)

ROWS, COLUMNS = np.mgrid[0:28, 0:28].astype(np.float64)


def test_measures_of_a_shear_known_in_closed_form() -> None:
    # u = (3 y, 4 y) with y up: |u| = 5 y, and the gradient has the norm 5 everywhere.
    y = 27.5 - ROWS
    field = np.stack([3 * y, 4 * y])[np.newaxis]
    assert length(field) == pytest.approx(5 * y[np.newaxis])
    assert gradient_norm(field) == pytest.approx(np.full((1, 28, 28), 5.0))
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 27, 3], image[0, 0, 9] = 100, 50  # at y = 0.5 and at y = 27.5
    found = measures(field, image, np.stack([0 * y, 4 * y]))
    assert found["overall"] == pytest.approx([5 * 14.0])
    assert found["stroke"] == pytest.approx([5 * (100 * 0.5 + 50 * 27.5) / 150])
    assert found["disturbance"] == pytest.approx([3 * 14.0])
    assert found["gradient"] == pytest.approx([5.0])


def test_gradient_norm_has_all_four_derivatives() -> None:
    field = np.stack([1 * COLUMNS + 2 * ROWS, 3 * COLUMNS - 4 * ROWS])
    assert gradient_norm(field) == pytest.approx(np.full((28, 28), np.sqrt(1 + 4 + 9 + 16)))


def test_an_image_without_ink_has_no_stroke() -> None:
    found = measures(np.zeros((1, 2, 28, 28)), np.zeros((1, 28, 28), np.uint8), np.zeros((2, 28, 28)))
    assert np.isnan(found["stroke"]).tolist() == [True]
    assert found["overall"].tolist() == [0]


def test_means_of_classes_where_one_has_no_sample() -> None:
    means = class_means(np.arange(12.0).reshape(3, 2, 2), np.array([1, 1, 9]), 10)
    assert means.shape == (10, 2, 2)
    assert means[1].tolist() == [[2, 3], [4, 5]]
    assert means[9].tolist() == [[8, 9], [10, 11]]
    assert np.isnan(means[[0, 2, 3, 4, 5, 6, 7, 8]]).all()


def test_ranks_within_a_class_say_nothing_of_the_class() -> None:
    values, labels = np.array([10.0, 1.0, 30.0, 2.0, 20.0]), np.array([7, 1, 7, 1, 7])
    assert within(values, labels).tolist() == pytest.approx([1 / 6, 1 / 4, 5 / 6, 3 / 4, 3 / 6])
    assert oddness(values).tolist() == pytest.approx([0.0, 0.4, 0.4, 0.2, 0.2])  # 10 is the median


def test_quantiles_are_as_equal_as_can_be() -> None:
    group = quantile_of(np.array([5.0, 1, 4, 2, 3, 9, 8]))
    assert group.tolist() == [2, 0, 2, 0, 1, 4, 3]
    assert np.bincount(quantile_of(np.zeros(4000))).tolist() == [800] * 5


def test_area_is_that_of_scikit_learn_with_ties() -> None:
    rng = np.random.default_rng(0)
    values, wrong = rng.integers(0, 20, 300).astype(np.float64), rng.random(300) < 0.1
    area, low, high = area_with_interval(values, wrong.astype(np.float64))
    assert area == pytest.approx(roc_auc_score(wrong, values))
    assert low < area < high


def test_area_of_digits_that_some_repeats_misclassified_weighs_them() -> None:
    values, wrong = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 0.5, 0.0, 1.0])
    twice, truth = np.repeat(values, 2), [0, 0, 0, 1, 0, 0, 1, 1]
    assert area_with_interval(values, wrong)[0] == pytest.approx(roc_auc_score(truth, twice))


def test_interval_is_that_of_delong_on_the_logit_scale() -> None:
    rng = np.random.default_rng(1)
    errors, rest = rng.normal(0.4, 1, 40), rng.normal(0, 1, 400)
    discordance = (errors[:, np.newaxis] > rest).astype(np.float64)
    area = discordance.mean()
    # DeLong's two components; ours divides the second by n and not n - 1, which for 400 digits changes little.
    variance = discordance.mean(axis=1).var(ddof=1) / 40 + discordance.mean(axis=0).var(ddof=1) / 400
    reach = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    expected = [1 / (1 + np.exp(-(np.log(area / (1 - area)) + sign * reach))) for sign in (-1, 1)]
    found = area_with_interval(np.concatenate([errors, rest]), np.array([1.0] * 40 + [0.0] * 400))
    assert found == pytest.approx((area, *expected), abs=1e-3)


def test_interval_covers_what_it_claims() -> None:
    rng, truth, covered = np.random.default_rng(2), 0.6382, 0  # P(X > Y), X ~ N(0.5, 1), Y ~ N(0, 1): Phi(0.5 / sqrt 2)
    wrong = np.array([1.0] * 60 + [0.0] * 240)
    for _ in range(600):
        values = rng.normal(0.5 * wrong, 1)
        _, low, high = area_with_interval(values, wrong)
        covered += low <= truth <= high
    assert covered / 600 == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("wrong", "area"), [([0, 0, 0], np.nan), ([1, 1, 1], np.nan), ([0, 0, 1], 1.0), ([1, 0, 0], 0.0)]
)
def test_too_few_errors_have_no_interval(wrong: list[int], area: float) -> None:
    found = area_with_interval(np.array([1.0, 2.0, 3.0]), np.array(wrong, np.float64))
    assert found == pytest.approx((area, np.nan, np.nan), nan_ok=True)

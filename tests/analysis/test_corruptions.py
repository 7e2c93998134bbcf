"""Corruptions against SciPy's own transforms, statistics of what is drawn, and the mechanics that must not change."""

import numpy as np
import pytest
from scipy import ndimage

from shearbench.analysis.corruption import corruptions
from shearbench.analysis.corruption.corruptions import SEVERITIES, corrupt, corruptions_of, grey_ends
from small_model import FIELDS, IMAGES

TABLES = [(entry, name) for entry in (IMAGES, FIELDS) for name in corruptions_of(entry)]


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


def blobs(n: int = 6, side: int = 28) -> np.ndarray:
    """Soft bright spots off the centre, grey values 0 to 250."""
    rows, columns = np.indices((side, side))
    at = 10 + np.arange(n)
    return 250 * np.exp(-((rows - at[:, None, None]) ** 2 + (columns - 12) ** 2) / 8.0)


def waves(n: int = 6) -> np.ndarray:
    """Smooth displacement fields on top of a shear, (n, 2, 28, 28)."""
    rows, columns = np.indices((28, 28)) / 28
    phase = np.arange(n)[:, None, None]
    return np.stack([1 - rows + 0.1 * np.sin(6 * columns + phase), 0.1 * np.cos(5 * rows + phase)], axis=1)


@pytest.mark.parametrize(("entry", "name"), TABLES)
def test_contract_of_every_corruption(entry: dict, name: str) -> None:
    kind = corruptions_of(entry)[name]
    doubled = np.repeat(blobs().astype(np.uint8)[:, None], 2, axis=1)
    inputs = doubled if entry is IMAGES else waves().astype(np.float32)
    before = inputs.copy()
    made = [
        corrupt(inputs, kind, severity, entry, rng(), ends=grey_ends(inputs)) for severity in range(1, SEVERITIES + 1)
    ]
    assert np.array_equal(inputs, before)
    assert len(set(kind.values)) == len(kind.values) == SEVERITIES
    changes = [np.abs(each.astype(float) - inputs).mean() for each in made]
    assert changes == sorted(changes), "each severity changes more than the one before"
    assert changes[0] > 0
    for each in made:
        assert each.dtype == inputs.dtype
        assert each.shape == inputs.shape
        if entry is IMAGES:
            assert np.array_equal(each[:, 0], each[:, 1]), "a doubled image stays doubled"
    again = corrupt(inputs, kind, SEVERITIES, entry, rng(), ends=grey_ends(inputs))
    assert np.array_equal(again, made[-1])


def test_translation_moves_the_centre_of_mass_by_so_many_pixels() -> None:
    moved = corruptions.translation(blobs(), 2.5, rng())
    ways = [
        np.subtract(ndimage.center_of_mass(after), ndimage.center_of_mass(before))
        for before, after in zip(blobs(), moved, strict=True)
    ]
    assert [np.hypot(*way) for way in ways] == pytest.approx([2.5] * len(ways), abs=1e-3)
    assert np.ptp([np.arctan2(*way) for way in ways]) > 0.5, "in different directions"


def test_rotation_and_shear_are_scipys() -> None:
    before = blobs()
    turned = corruptions.rotation(before, 25.0, rng())
    sheared = corruptions.shear(before, 0.3, rng())
    for each, turn, slant in zip(before, turned, sheared, strict=True):
        by_scipy = [ndimage.rotate(each, angle, reshape=False, order=1) for angle in (25, -25)]
        assert min(np.abs(turn - other).max() for other in by_scipy) < 1e-9
        slopes = [
            ndimage.affine_transform(each, [[1, 0], [slope, 1]], [0, -slope * 13.5], order=1) for slope in (0.3, -0.3)
        ]
        assert min(np.abs(slant - other).max() for other in slopes) < 1e-9


def test_blur_adds_its_variance() -> None:
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1.0
    blurred = corruptions.blur(point, 2.0, rng())[0]
    assert blurred.sum() == pytest.approx(1.0)
    assert (blurred.sum(axis=1) * (np.arange(41) - 20) ** 2).sum() == pytest.approx(4.0, rel=1e-2)


def test_noise_has_its_deviation_and_impulses_their_share() -> None:
    grey = np.full((4, 100, 100), 100.0)
    assert corruptions.gaussian_noise(grey, 0.2, rng()).std() == pytest.approx(51, rel=0.02)
    hit = corruptions.impulse_noise(grey, 0.3, rng())
    assert (hit != 100).mean() == pytest.approx(0.3, abs=0.01)
    assert (hit == 255).mean() == pytest.approx(0.15, abs=0.01)
    assert (hit == 0).mean() == pytest.approx(0.15, abs=0.01)
    measured = corruptions.sensor_noise(np.zeros((4, 2, 100, 100)), 0.05, rng())
    assert measured.std(axis=(0, 2, 3)) == pytest.approx([0.05, 0.05], rel=0.02)


def test_occlusion_is_a_square_and_contrast_a_share_of_the_distance() -> None:
    hidden = corruptions.occlusion(np.full((50, 28, 28), 9.0), 6, rng()) == 0
    for square in hidden:
        rows, columns = np.flatnonzero(square.any(axis=1)), np.flatnonzero(square.any(axis=0))
        assert len(rows) == len(columns) == 6
        assert square.sum() == 36
        assert np.ptp(rows) == np.ptp(columns) == 5
    assert corruptions.contrast(np.array([[[0.0, 100.0], [100.0, 200.0]]]), 0.5, rng()).tolist() == [
        [[50.0, 100.0], [100.0, 150.0]]
    ]


def test_elastic_displacement_has_its_length() -> None:
    """A ramp of rows and a ramp of columns, sampled linearly, say where each pixel was taken from."""
    rows, columns = np.indices((200, 200), dtype=float)
    ways = [corruptions.elastic(ramp[None], 1.5, rng())[0] - ramp for ramp in (rows, columns)]
    inner = np.sqrt((ways[0] ** 2 + ways[1] ** 2)[10:-10, 10:-10].mean())
    assert inner == pytest.approx(1.5, rel=0.03)


def strains(field: np.ndarray) -> np.ndarray:
    """C = F^T F by finite differences, F = I + grad u, x to the right and y up."""
    down, right = np.gradient(field, axis=(1, 2))
    gradient = np.stack([right, -down], axis=-1)  # (component, h, w, direction)
    f = np.moveaxis(gradient, 0, -2) + np.eye(2)
    return np.swapaxes(f, -1, -2) @ f


def test_rigid_motions_keep_the_strains_and_move_as_far_as_they_say() -> None:
    before = waves()
    offset, turned = corruptions.rigid_offset(before, 0.7, rng()), corruptions.rigid_rotation(before, 3.0, rng())
    for u, moved, rotated in zip(before, offset, turned, strict=True):
        np.testing.assert_allclose(strains(moved), strains(u), atol=1e-12)
        np.testing.assert_allclose(strains(rotated), strains(u), atol=1e-12)
        assert np.hypot(*(moved - u)[:, 5, 7]) == pytest.approx(0.7)
    still = corruptions.rigid_rotation(np.zeros((1, 2, 28, 28)), 3.0, rng())[0]
    assert np.abs(still[0, 0]).max() == pytest.approx(3.0 / 28 * 13.5, rel=0.08)  # the top goes sideways
    assert still[:, 13:15, 13:15].mean() == pytest.approx(0.0, abs=1e-12)


def test_a_rotation_turns_the_vectors_too() -> None:
    """A uniform displacement to the right, turned by a quarter, points up or down, and so does its rigid part."""
    right = np.zeros((1, 2, 28, 28))
    right[0, 0] = 2.0
    quarter = 28 * np.pi / 2
    turned = corruptions.rigid_rotation(right, quarter, rng()) - corruptions.rigid_rotation(
        np.zeros_like(right), quarter, rng()
    )
    assert np.abs(turned[0, 1]) == pytest.approx(np.full((28, 28), 2.0))
    assert turned[0, 0] == pytest.approx(np.zeros((28, 28)), abs=1e-12)


def test_scaled_load_multiplies_or_divides() -> None:
    ratio = corruptions.scaled_load(waves(40), 1.25, rng())[:, 0, 3, 4] / waves(40)[:, 0, 3, 4]
    assert set(np.round(ratio, 12)) == {1.25, 0.8}


def test_coarse_sensors_keep_what_is_linear_between_them() -> None:
    rows, columns = np.indices((28, 28), dtype=float)
    plane = np.stack([2 * rows - columns, rows + 3 * columns])[None]
    coarse = corruptions.coarse_sensors(plane, 7, rng())
    inner = slice(2, 26)  # the outermost of 7 sensors stand at pixel 1.5 and 25.5
    np.testing.assert_allclose(coarse[..., inner, inner], plane[..., inner, inner], atol=1e-12)
    np.testing.assert_allclose(coarse[0, 0, 0, 10], coarse[0, 0, 1, 10])
    np.testing.assert_allclose(corruptions.coarse_sensors(waves(), 28, rng()), waves(), atol=1e-12)


def test_a_missing_pixel_takes_both_components_of_the_nearest_left() -> None:
    index = np.arange(784, dtype=float).reshape(28, 28)
    field = np.stack([index, -index])[None]
    filled = corruptions.missing_pixels(field, 0.5, rng())[0]
    assert np.array_equal(filled[0], -filled[1])
    lost = filled[0] != index
    assert lost.mean() == pytest.approx(0.5, abs=0.06)
    kept = np.argwhere(~lost)
    for place in np.argwhere(lost)[:40]:
        source = np.array(np.divmod(int(filled[0][tuple(place)]), 28))
        assert np.hypot(*(source - place)) == pytest.approx(np.hypot(*(kept - place).T).min())


def test_relative_values_grow_with_the_load() -> None:
    still, kind = np.zeros((1, 2, 28, 28), np.float32), corruptions_of(FIELDS)["rigid offset"]
    one, three = (
        corrupt(still, kind, 3, {**FIELDS, "step": step}, rng(), ends=grey_ends(still)) for step in (5, 9)
    )  # d = 1 and 3
    np.testing.assert_allclose(three, 3 * one, rtol=1e-6)
    assert np.hypot(*one[0, :, 0, 0]) == pytest.approx(kind.values[2])


def test_a_sample_is_corrupted_alike_alone_and_among_others() -> None:
    images = blobs()[:, None] / 250 * np.arange(1, 7)[:, None, None, None]  # of floats, 1 to 6 at their brightest
    kind, ends = corruptions_of(IMAGES)["contrast"], grey_ends(images)
    among = corrupt(images, kind, 3, IMAGES, rng(), ends=ends)
    for row in range(len(images)):
        assert np.allclose(corrupt(images[[row]], kind, 3, IMAGES, rng(), ends=ends)[0], among[row])

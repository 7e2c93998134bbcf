"""Normalisation against closed forms and scikit-learn's scaler."""

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from shearbench.data import normalise
from shearbench.data.config import SimulatedDataset
from shearbench.data.trend import homogeneous_field
from shearbench.errors import InputError
from shearbench.mechanics.simulation import simulate


@pytest.fixture
def fields() -> np.ndarray:
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.5, 2.0, (1, 2, 28, 28)) * np.array([1.0, 30.0]).reshape(1, 2, 1, 1)
    return (rng.normal(size=(2500, 2, 28, 28)) * scale + 3.0).astype(np.float32)


def images(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 1, 28, 28), dtype=np.uint8)


def test_none_leaves_the_values() -> None:
    fitted = normalise.fit("none", images())
    np.testing.assert_array_equal(fitted.apply(images()), images().astype(np.float32))


@pytest.mark.parametrize("kind", ["unit", "divide255"])
def test_bytes_divided_by_255(kind: str) -> None:
    applied = normalise.fit(kind, images()).apply(images())  # type: ignore[arg-type]
    assert applied.dtype == np.float32
    np.testing.assert_array_equal(applied, images().astype(np.float32) / np.float32(255))


def test_unit_refuses_fields_but_divide255_takes_them(fields: np.ndarray) -> None:
    with pytest.raises(InputError, match="unit is for images of bytes, got float32"):
        normalise.fit("unit", fields)
    np.testing.assert_array_equal(normalise.fit("divide255", fields).apply(fields), fields / np.float32(255))


def test_pixel_agrees_with_scikit_learn(fields: np.ndarray) -> None:
    ours = normalise.fit("pixel", fields).apply(fields[:100])
    flat = fields.reshape(len(fields), -1).astype(np.float64)
    theirs = StandardScaler().fit(flat).transform(flat[:100]).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_channel_makes_each_channel_centred_with_deviation_one(fields: np.ndarray) -> None:
    applied = normalise.fit("channel", fields).apply(fields).astype(np.float64)
    np.testing.assert_allclose(applied.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(applied.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_a_pixel_that_hardly_varies_is_not_blown_up() -> None:
    inputs = np.zeros((100, 1, 28, 28), np.float32)
    inputs[::2, 0, 14, 14] = 2.0  # deviation 1, the largest
    inputs[0, 0, 0, 0] = 0.1  # deviation 0.00995, below the floor of 0.05
    fitted = normalise.fit("pixel", inputs)
    assert fitted.scale[0, 14, 14] == 1.0
    assert fitted.scale[0, 0, 0] == np.float32(normalise.PIXEL_FLOOR)
    assert fitted.apply(inputs)[0, 0, 0, 0] == pytest.approx((0.1 - 0.001) / 0.05)


@pytest.mark.parametrize("kind", ["channel", "pixel"])
def test_constant_inputs_become_zero(kind: str) -> None:
    inputs = np.full((5, 2, 28, 28), 7, np.uint8)
    np.testing.assert_array_equal(normalise.fit(kind, inputs).apply(inputs), np.zeros(inputs.shape))  # type: ignore[arg-type]


def test_detrend_takes_the_homogeneous_field_away_and_divides_by_one_number(fields: np.ndarray) -> None:
    trend = np.arange(2 * 28 * 28, dtype=np.float64).reshape(2, 28, 28) / 100
    applied = normalise.fit("detrend", fields, homogeneous=trend).apply(fields).astype(np.float64)
    left = fields.astype(np.float64) - trend
    np.testing.assert_allclose(applied, left / np.sqrt((left**2).mean()), atol=2e-6)
    assert np.sqrt((applied**2).mean()) == pytest.approx(1, abs=1e-6)


def test_a_block_without_a_digit_is_nothing_after_detrending() -> None:
    entry = SimulatedDataset(source="simulated", load="shear", step=5, normalise="detrend")
    bitmaps = np.zeros((3, 28, 28), np.uint8)
    bitmaps[1:, 8:20, 12:16] = 255
    simulated = simulate(bitmaps, load="shear", displacements=[1.0]).displacement[:, 0].astype(np.float32)
    applied = normalise.fit_entry(entry, simulated[1:]).apply(simulated)
    assert np.abs(applied[0]).max() < 1e-5
    assert np.abs(applied[1]).max() > 1


def test_the_homogeneous_block_under_equal_stretch_is_the_affine_map() -> None:
    centres = (np.arange(28) + 0.5) / 28 - 0.5
    expected = np.stack([np.broadcast_to(centres, (28, 28)), np.broadcast_to(-centres[:, None], (28, 28))])
    np.testing.assert_allclose(homogeneous_field("equibiaxial", 5, (28, 28)), expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["none", "unit", "divide255", "channel", "pixel"])
def test_every_kind_has_the_shape_of_a_sample(kind: str) -> None:
    inputs = np.repeat(images(), 2, axis=1)
    fitted = normalise.fit(kind, inputs)  # type: ignore[arg-type]
    for array in (fitted.mean, fitted.scale):
        assert (array.shape, array.dtype) == ((2, 28, 28), np.float32)
        assert array.flags.c_contiguous
        assert array.flags.writeable
    assert (fitted.scale > 0).all()


def test_only_what_is_given_to_fit_matters() -> None:
    train, held_out = images(40)[:30], images(40)[30:]
    before = normalise.fit("pixel", train).apply(held_out)
    np.testing.assert_array_equal(before[:3], normalise.fit("pixel", train).apply(held_out[:3]))
    assert not np.array_equal(before, normalise.fit("pixel", images(40)).apply(held_out))

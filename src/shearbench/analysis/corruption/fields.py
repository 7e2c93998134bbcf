"""Corruptions of displacement fields float64 (n, 2, h, w): u_x, u_y (up) in pixels, row 0 at the top.

The first three are faults of a measurement. The last three do not change the sample, so a model that knew its mechanics
would lose no accuracy: a rigid motion of the whole block changes no strain, and another load only scales all strains,
as long as they are small.
"""

import numpy as np
from scipy import ndimage

from shearbench.analysis.corruption.kind import Corruption, Values, directions, signs


def sensor_noise(fields: Values, sd: float, generator: np.random.Generator) -> Values:
    """Add noise of standard deviation ``sd`` pixels to each component."""
    return fields + sd * generator.standard_normal(fields.shape)


def missing_pixels(fields: Values, share: float, generator: np.random.Generator) -> Values:
    """Remove both components at a share of the pixels, and fill them from the nearest remaining pixel."""
    lost = generator.random((len(fields), *fields.shape[2:])) < share
    filled = fields.copy()
    for field, gone in zip(filled, lost, strict=True):
        rows, columns = ndimage.distance_transform_edt(gone, return_distances=False, return_indices=True)
        field[:] = field[:, rows, columns]
    return filled


def coarse_sensors(fields: Values, sensors: float, _: np.random.Generator) -> Values:
    """Measure on a regular grid of ``sensors`` x ``sensors`` points, and interpolate linearly between them."""
    height, width = fields.shape[2:]
    down, across = _coarsened(height, int(sensors)), _coarsened(width, int(sensors))
    return down @ fields @ across.T


def rigid_offset(fields: Values, pixels: float, generator: np.random.Generator) -> Values:
    """Move the whole block by ``pixels`` in a random direction: add one vector everywhere."""
    return fields + pixels * directions(len(fields), generator)[:, :, None, None]


def rigid_rotation(fields: Values, pixels: float, generator: np.random.Generator) -> Values:
    """Rotate the deformed block about its centre by ``pixels`` / height, to a random side.

    A material point at X from the centre has moved to X + u. The rotation R moves it to R (X + u), so u becomes
    R (X + u) - X. Strains (F^T F) do not change.
    """
    height = fields.shape[2]
    angle = (pixels / height * signs(len(fields), generator))[:, None, None]
    rows, columns = np.indices(fields.shape[2:], dtype=np.float64)
    x, y = columns - (fields.shape[3] - 1) / 2, (height - 1) / 2 - rows
    at_x, at_y = x + fields[:, 0], y + fields[:, 1]
    turned_x = np.cos(angle) * at_x - np.sin(angle) * at_y
    turned_y = np.sin(angle) * at_x + np.cos(angle) * at_y
    return np.stack([turned_x - x, turned_y - y], axis=1)


def scaled_load(fields: Values, factor: float, generator: np.random.Generator) -> Values:
    """Multiply or divide (at random) the displacement by ``factor``, like another load on a linear material."""
    power = signs(len(fields), generator)[:, None, None, None]
    return fields * factor**power


def _coarsened(size: int, sensors: int) -> Values:
    """Return the matrix (size, size) that samples a line at the middles of ``sensors`` equal parts and interpolates.

    Both steps are linear between neighbours; beyond the outermost sensor the value is constant.
    """
    places = (np.arange(sensors) + 0.5) * size / sensors - 0.5  # in pixels
    measure = _interpolation(np.arange(size, dtype=np.float64), places)
    return _interpolation(places, np.arange(size, dtype=np.float64)) @ measure


def _interpolation(known: Values, wanted: Values) -> Values:
    """Return the matrix of linear interpolation from places ``known`` to places ``wanted``."""
    return np.stack([np.interp(wanted, known, unit) for unit in np.eye(len(known))], axis=1)


FIELDS: dict[str, Corruption] = {
    "sensor noise": Corruption(sensor_noise, "deviation / load", (0.005, 0.01, 0.02, 0.05, 0.1), relative=True),
    "missing pixels": Corruption(missing_pixels, "share of pixels", (0.1, 0.25, 0.5, 0.75, 0.9)),
    "coarse sensors": Corruption(coarse_sensors, "sensors a side", (20, 14, 10, 7, 5)),
    "rigid offset": Corruption(rigid_offset, "offset / load", (0.01, 0.02, 0.05, 0.1, 0.2), relative=True),
    "rigid rotation": Corruption(rigid_rotation, "way of the top / load", (0.02, 0.05, 0.1, 0.2, 0.4), relative=True),
    "scaled load": Corruption(scaled_load, "factor or its inverse", (1.01, 1.02, 1.05, 1.1, 1.25)),
}

"""Corruptions of test inputs at five severities: the common ones of images, the physical ones of displacement fields.

A corruption is a function ``(inputs, value, generator) -> inputs`` and one line in ``IMAGES`` or ``FIELDS``. Its
random part (a direction, a place, noise) depends on the generator only, not on the value. With the same generator, a
higher severity corrupts a sample in the same way, only more.

Images are grey, float64 (n, h, w), 0 to 255; pixels beyond the edge are black. After Hendrycks and Dietterich,
Benchmarking neural network robustness to common corruptions and perturbations, ICLR 2019, and Mu and Gilmer, MNIST-C,
arXiv 1906.02337; the values are our own.

Fields are float64 (n, 2, h, w): u_x, u_y (up) in pixels, row 0 at the top. Their first three corruptions are faults of
a measurement. The last three do not change the sample, so a model that knew its mechanics would lose no accuracy: a
rigid motion of the whole block changes no strain, and another load only scales all strains, as long as they are small.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shearbench.mechanics.loads import PUBLISHED_HEIGHT, displacements_of

SEVERITIES = 5
CLEAN = "none"
"""The name of uncorrupted inputs in tables, at severity 0."""
WHITE = 255.0
_GRAIN = 4.0  # pixels: the standard deviation of the Gaussian that smooths elastic displacements
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Corruption:
    """A function of inputs, the quantity that its value measures, and the values of its five severities.

    ``relative`` values are multiplied by the displacement that the load imposes; those ``in_pixels`` are pixels of an
    image of 28 pixels in height.
    """

    apply: Callable[[Values, float, np.random.Generator], Values]
    measure: str
    values: tuple[float, float, float, float, float]
    relative: bool = False
    in_pixels: bool = False


def signs(n: int, generator: np.random.Generator) -> Values:
    """Draw -1 or 1 for each of ``n`` samples."""
    return generator.choice([-1.0, 1.0], n)


def directions(n: int, generator: np.random.Generator) -> Values:
    """Draw a direction in the plane for each of ``n`` samples: unit vectors (n, 2)."""
    angle = generator.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def gaussian_noise(images: Values, sd: float, generator: np.random.Generator) -> Values:
    """Add noise of standard deviation ``sd``, a share of the grey scale."""
    return images + WHITE * sd * generator.standard_normal(images.shape)


def impulse_noise(images: Values, share: float, generator: np.random.Generator) -> Values:
    """Set a share of the pixels to black or white, half and half."""
    hit, white = generator.random(images.shape) < share, generator.random(images.shape) < 0.5
    return np.where(hit, np.where(white, WHITE, 0.0), images)


def blur(images: Values, sigma: float, _: np.random.Generator) -> Values:
    """Smooth with a Gaussian of ``sigma`` pixels."""
    blurred: Values = ndimage.gaussian_filter(images, sigma, axes=(1, 2), mode="constant")
    return blurred


def occlusion(images: Values, side: float, generator: np.random.Generator) -> Values:
    """Black out a square of ``side`` pixels with its centre in the middle 5 / 7, the place of MNIST's digits."""
    height, width = images.shape[1:]
    least = (height / 7, width / 7)
    centre = generator.uniform(least, (height - least[0], width - least[1]), (len(images), 2))
    row, column = (
        np.abs(np.arange(size) + 0.5 - centre[:, [axis]]) < side / 2 for axis, size in enumerate((height, width))
    )
    return np.where(row[:, :, np.newaxis] & column[:, np.newaxis, :], 0.0, images)


def contrast(images: Values, factor: float, _: np.random.Generator) -> Values:
    """Multiply the distance of every grey value from the mean of its image by ``factor``."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    drawn: Values = mean + factor * (images - mean)
    return drawn


def translation(images: Values, pixels: float, generator: np.random.Generator) -> Values:
    """Move by ``pixels`` in a random direction."""
    shift = pixels * directions(len(images), generator)
    rows, columns = np.indices(images.shape[1:], dtype=np.float64)
    return _sampled(images, rows - shift[:, 0, None, None], columns - shift[:, 1, None, None])


def rotation(images: Values, degrees: float, generator: np.random.Generator) -> Values:
    """Rotate about the centre by ``degrees``, to a random side."""
    angle = (np.deg2rad(degrees) * signs(len(images), generator))[:, None, None]
    rows, columns = np.indices(images.shape[1:], dtype=np.float64)
    middle, centre = ((size - 1) / 2 for size in images.shape[1:])
    y, x = rows - middle, columns - centre
    return _sampled(
        images, middle + np.cos(angle) * y - np.sin(angle) * x, centre + np.sin(angle) * y + np.cos(angle) * x
    )


def shear(images: Values, factor: float, generator: np.random.Generator) -> Values:
    """Shift each row by ``factor`` times its height above the centre, to a random side."""
    slope = (factor * signs(len(images), generator))[:, None, None]
    rows, columns = np.indices(images.shape[1:], dtype=np.float64)
    return _sampled(images, rows + 0 * slope, columns + slope * (rows - (images.shape[1] - 1) / 2))


def elastic(images: Values, pixels: float, generator: np.random.Generator) -> Values:
    """Displace each pixel by smoothed noise of root mean square length ``pixels`` (Simard et al., ICDAR 2003)."""
    noise = generator.standard_normal((2, *images.shape))
    smooth = ndimage.gaussian_filter(noise, _GRAIN, axes=(2, 3))
    length = np.sqrt((smooth**2).sum(axis=0).mean(axis=(1, 2), keepdims=True))
    rows, columns = np.indices(images.shape[1:], dtype=np.float64)
    return _sampled(images, rows + pixels * smooth[0] / length, columns + pixels * smooth[1] / length)


def _sampled(images: Values, rows: Values, columns: Values) -> Values:
    """Return images (n, height, width) interpolated linearly at ``rows`` and ``columns``, given for every pixel."""
    each = np.broadcast_to(np.arange(len(images))[:, None, None], images.shape)
    sampled: Values = ndimage.map_coordinates(images, [each, rows, columns], order=1, mode="constant")
    return sampled


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


IMAGES: dict[str, Corruption] = {
    "clipped Gaussian noise": Corruption(
        gaussian_noise, "deviation, share of the grey scale", (0.1, 0.2, 0.3, 0.45, 0.6)
    ),
    "impulse noise": Corruption(impulse_noise, "share of pixels", (0.05, 0.1, 0.2, 0.3, 0.4)),
    "blur": Corruption(blur, "sigma, pixels", (0.7, 1.2, 1.7, 2.2, 3.0), in_pixels=True),
    "occlusion": Corruption(occlusion, "side, pixels", (4, 6, 8, 10, 12), in_pixels=True),
    "contrast": Corruption(contrast, "factor", (0.5, 0.3, 0.2, 0.1, 0.05)),
    "translation": Corruption(translation, "pixels", (1, 2, 3, 4, 6), in_pixels=True),
    "rotation": Corruption(rotation, "degrees", (10, 20, 30, 40, 50)),
    "shear": Corruption(shear, "factor", (0.15, 0.3, 0.5, 0.7, 1.0)),
    "elastic": Corruption(elastic, "root mean square, pixels", (0.7, 1.2, 1.7, 2.3, 3.0), in_pixels=True),
}
FIELDS: dict[str, Corruption] = {
    "sensor noise": Corruption(sensor_noise, "deviation / load", (0.005, 0.01, 0.02, 0.05, 0.1), relative=True),
    "missing pixels": Corruption(missing_pixels, "share of pixels", (0.1, 0.25, 0.5, 0.75, 0.9)),
    "coarse sensors": Corruption(coarse_sensors, "sensors a side", (20, 14, 10, 7, 5)),
    "rigid offset": Corruption(rigid_offset, "offset / load", (0.01, 0.02, 0.05, 0.1, 0.2), relative=True),
    "rigid rotation": Corruption(rigid_rotation, "way of the top / load", (0.02, 0.05, 0.1, 0.2, 0.4), relative=True),
    "scaled load": Corruption(scaled_load, "factor or its inverse", (1.01, 1.02, 1.05, 1.1, 1.25)),
}


def corruptions_of(entry: Mapping[str, Any]) -> dict[str, Corruption]:
    """Return the corruptions for inputs of a dataset's entry in ``params.yaml``."""
    return FIELDS if "load" in entry else IMAGES


def corrupt(
    inputs: NDArray[Any],
    corruption: Corruption,
    severity: int,
    entry: Mapping[str, Any],
    generator: np.random.Generator,
    *,
    ends: tuple[float, float],
) -> NDArray[Any]:
    """Return corrupted inputs (n, channels, height, width), not normalised and of their original type.

    Images of bytes are rounded to bytes again. ``ends`` are those of the grey scale of images (:func:`grey_ends`). All
    channels of an image are corrupted alike. A length in pixels refers to an image of 28 pixels in height, and grows
    with the height; a relative length is a multiple of the displacement that the load imposes. The ``severity`` is 1 to
    5; ``entry`` is that of the dataset in ``params.yaml``.
    """
    value = corruption.values[severity - 1]
    if "load" in entry:
        scale = displacements_of(entry["load"], inputs.shape[2])[entry["step"]] if corruption.relative else 1.0
        made = corruption.apply(inputs.astype(np.float64), value * scale, generator)
        return made.astype(inputs.dtype)
    value *= inputs.shape[2] / PUBLISHED_HEIGHT if corruption.in_pixels else 1.0
    black, white = ends
    grey = (inputs.astype(np.float64) - black) * (WHITE / ((white - black) or 1.0))
    channels = [corruption.apply(channel, value, copy.deepcopy(generator)) for channel in grey.swapaxes(0, 1)]
    made = np.clip(np.stack(channels, axis=1), 0, WHITE)
    made = np.rint(made) if inputs.dtype == np.uint8 else made * ((white - black) / WHITE) + black
    return made.astype(inputs.dtype)


def grey_ends(inputs: NDArray[Any]) -> tuple[float, float]:
    """Return black and white of all images of a dataset: 0 and 255 for bytes, else the least and the largest value."""
    return (0.0, WHITE) if inputs.dtype == np.uint8 else (float(inputs.min()), float(inputs.max()))


def grey_scale(inputs: NDArray[Any]) -> float:
    """Return the width of the grey scale: 255 for bytes, else the largest minus the least value."""
    black, white = grey_ends(inputs)
    return white - black

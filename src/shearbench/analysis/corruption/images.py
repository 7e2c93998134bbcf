"""Common corruptions of grey images float64 (n, h, w), 0 to 255; pixels beyond the edge are black.

After Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions and perturbations, ICLR
2019, and Mu and Gilmer, MNIST-C, arXiv 1906.02337; the values are our own.
"""

import numpy as np
from scipy import ndimage

from shearbench.analysis.corruption.kind import Corruption, Values, directions, signs

WHITE = 255.0
_GRAIN = 4.0  # pixels: the standard deviation of the Gaussian that smooths elastic displacements


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
    rows, columns = _grid(images)
    return _sampled(images, rows - shift[:, 0, None, None], columns - shift[:, 1, None, None])


def rotation(images: Values, degrees: float, generator: np.random.Generator) -> Values:
    """Rotate about the centre by ``degrees``, to a random side."""
    angle = (np.deg2rad(degrees) * signs(len(images), generator))[:, None, None]
    rows, columns = _grid(images)
    middle, centre = ((size - 1) / 2 for size in images.shape[1:])
    y, x = rows - middle, columns - centre
    return _sampled(
        images, middle + np.cos(angle) * y - np.sin(angle) * x, centre + np.sin(angle) * y + np.cos(angle) * x
    )


def shear(images: Values, factor: float, generator: np.random.Generator) -> Values:
    """Shift each row by ``factor`` times its height above the centre, to a random side."""
    slope = (factor * signs(len(images), generator))[:, None, None]
    rows, columns = _grid(images)
    return _sampled(images, rows + 0 * slope, columns + slope * (rows - (images.shape[1] - 1) / 2))


def elastic(images: Values, pixels: float, generator: np.random.Generator) -> Values:
    """Displace each pixel by smoothed noise of root mean square length ``pixels`` (Simard et al., ICDAR 2003)."""
    noise = generator.standard_normal((2, *images.shape))
    smooth = ndimage.gaussian_filter(noise, _GRAIN, axes=(2, 3))
    length = np.sqrt((smooth**2).sum(axis=0).mean(axis=(1, 2), keepdims=True))
    rows, columns = _grid(images)
    return _sampled(images, rows + pixels * smooth[0] / length, columns + pixels * smooth[1] / length)


def _grid(images: Values) -> tuple[Values, Values]:
    """Return the row and the column of every pixel, (height, width) each."""
    height, width = images.shape[1:]
    rows, columns = np.meshgrid(np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64), indexing="ij")
    return rows, columns


def _sampled(images: Values, rows: Values, columns: Values) -> Values:
    """Return images (n, height, width) interpolated linearly at ``rows`` and ``columns``, given for every pixel."""
    each = np.broadcast_to(np.arange(len(images))[:, None, None], images.shape)
    sampled: Values = ndimage.map_coordinates(images, [each, rows, columns], order=1, mode="constant")
    return sampled


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

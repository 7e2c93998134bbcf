"""Normalisation, ``(x - mean) / scale``, fitted on training folds only and stored with the weights of a network.

Training calls ``fit_entry``; ``fit`` does the same for arrays without a dataset entry.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import FieldDataset, ImageDataset, Normalisation
from shearbench.errors import InputError

PIXEL_FLOOR = 0.05
"""The least scale of a pixel, as a share of the largest scale in its channel.

A corner pixel of MNIST is 0 in almost every digit. Divided by its own deviation, a rare nonzero value would
be 200 deviations from the mean and would dominate the input.
"""

_ROWS = 1024  # samples at a time, so that 60,000 fields are never in memory as float64 together


@dataclass(frozen=True, eq=False)
class Normaliser:
    """The affine map ``(x - mean) / scale``; ``mean`` and ``scale`` float32 (channels, height, width), scale > 0."""

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return normalised inputs, float32 of the same shape (n, channels, height, width), computed in float32."""
        return (inputs.astype(np.float32) - self.mean) / self.scale


def fit_entry(entry: ImageDataset | FieldDataset, inputs: NDArray[Any]) -> Normaliser:
    """Fit the normalisation of a dataset entry to its training inputs (n, channels, height, width)."""
    if entry.normalise != "detrend":
        return fit(entry.normalise, inputs)
    assert isinstance(entry, FieldDataset), "params.py refuses images without their trend"
    from shearbench.data.trend import homogeneous_field  # imported only here, because the simulator compiles

    return fit("detrend", inputs, homogeneous=homogeneous_field(entry.load, entry.step, inputs.shape[-2:]))


def fit(kind: Normalisation, inputs: NDArray[Any], *, homogeneous: NDArray[np.float64] | None = None) -> Normaliser:
    """Fit a normaliser to training inputs (n, channels, height, width).

    ``none`` leaves values unchanged. ``unit`` maps bytes to 0 .. 1. ``divide255`` divides any values by
    255, also fields, as a published study did. ``channel`` gives each channel mean 0 and deviation 1. ``pixel``
    does so for each pixel of each channel; the scale of a pixel is at least ``PIXEL_FLOOR`` times the
    largest deviation of its channel. ``detrend`` subtracts ``homogeneous`` (channels, height, width), the field of the
    block without a digit, and divides by one number, the root mean square of the residuals. ``minmax`` maps the
    least and the largest value of all training inputs to 0 and 1, ``minmax_channel`` those of each channel.
    Deviations are those of the population. Constant values have scale 1.

    Raises:
        InputError: if ``unit`` is used for inputs that are not bytes.
    """
    shape = inputs.shape[1:]
    if kind == "none":
        return _normaliser(0.0, 1.0, shape)
    if kind == "unit" and inputs.dtype != np.uint8:
        raise InputError(
            f"normalise: unit is for images of bytes, got {inputs.dtype}; give the dataset in params.yaml "
            "`normalise: pixel`, `channel`, `divide255` or `none`"
        )
    if kind in ("unit", "divide255"):
        return _normaliser(0.0, 255.0, shape)
    if kind in ("minmax", "minmax_channel"):
        return _between(inputs, (0, 2, 3) if kind == "minmax_channel" else (0, 1, 2, 3))
    mean, variance = _moments(inputs)
    if kind == "detrend":
        assert homogeneous is not None, "see fit_entry"
        left = np.sqrt((variance + (mean - homogeneous) ** 2).mean())
        return _normaliser(homogeneous, left if left > 0 else 1.0, shape)
    if kind == "channel":
        centre = mean.mean(axis=(1, 2), keepdims=True)
        spread = np.sqrt((variance + (mean - centre) ** 2).mean(axis=(1, 2), keepdims=True))
        return _normaliser(centre, np.where(spread > 0, spread, 1.0), shape)
    assert kind == "pixel", kind
    deviation = np.sqrt(variance)
    largest = deviation.max(axis=(1, 2), keepdims=True)
    return _normaliser(mean, np.where(largest > 0, np.maximum(deviation, PIXEL_FLOOR * largest), 1.0), shape)


def _between(inputs: NDArray[Any], axes: tuple[int, ...]) -> Normaliser:
    """Return the normaliser that maps the least and the largest input over ``axes`` to 0 and 1."""
    least, largest = (found(axis=axes, keepdims=True)[0] for found in (inputs.min, inputs.max))
    return _normaliser(least, np.where(largest > least, largest - least, 1.0), inputs.shape[1:])


def _normaliser(mean: Any, scale: Any, shape: tuple[int, ...]) -> Normaliser:
    return Normaliser(*(np.broadcast_to(value, shape).astype(np.float32) for value in (mean, scale)))


def _moments(inputs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance over samples, (channels, height, width) each, in two passes."""
    assert len(inputs) > 0, "normalisation needs samples to fit"
    mean = sum(block.sum(axis=0) for block in _blocks(inputs)) / len(inputs)
    variance = sum(((block - mean) ** 2).sum(axis=0) for block in _blocks(inputs)) / len(inputs)
    return np.asarray(mean), np.asarray(variance)


def _blocks(inputs: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(inputs), _ROWS):
        yield inputs[start : start + _ROWS].astype(np.float64)

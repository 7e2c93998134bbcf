"""Conversion of image arrays to one type, layout, size and number of channels, as declared in ``params.yaml``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.config import OwnImages
from shearbench.errors import InputError

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def converted(key: str, source: OwnImages, images: NDArray[Any]) -> NDArray[Any]:
    """Return images uint8 or float32 (n, height, width) or (n, channels, height, width), as ``source`` declares.

    The input may have its 1 to 4 channels last.

    Raises:
        InputError: if values are neither bytes nor finite floating-point numbers, or the images have another shape.
    """
    images = _channels_first(key, _typed(key, images))
    if source.channels is not None:
        images = to_channels(key, images, source.channels)
    if source.resize is not None:
        images = to_size(images, source.resize)
    return images[:, 0] if images.ndim == 4 and images.shape[1] == 1 else images


def _typed(key: str, images: NDArray[Any]) -> NDArray[Any]:
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return images
    if kind == "b":
        return images.astype(np.uint8) * np.uint8(255)
    if kind in "iu" and images.size and 0 <= images.min() <= images.max() <= 255:
        return images.astype(np.uint8)
    if kind == "f":
        floats = images.astype(np.float32)
        if not np.isfinite(floats).all():
            raise InputError(f"{key}: images must be finite, but {int((~np.isfinite(floats)).sum())} values are not")
        return floats
    span = f" from {images.min()} to {images.max()}" if images.size and kind in "iu" else ""
    raise InputError(
        f"{key}: images must be uint8 or floating point, got {images.dtype}{span}; divide them by their largest value "
        "and store them as float32"
    )


def _channels_first(key: str, images: NDArray[Any]) -> NDArray[Any]:
    if images.ndim == 4 and 1 <= images.shape[3] <= 4:
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if images.ndim == 3 or (images.ndim == 4 and 1 <= images.shape[1] <= 4):
        return images
    raise InputError(
        f"{key}: images must be (n, height, width) or (n, height, width, 1 to 4 channels); got {images.shape}"
    )


def to_channels(key: str, images: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return images (n, ``channels``, height, width), with the luminance of ITU-R 601 for grey."""
    have = images[:, None] if images.ndim == 3 else images
    if have.shape[1] == channels:
        return have
    colour, alpha = have[:, : 1 if have.shape[1] <= 2 else 3], have[:, -1:] if have.shape[1] in (2, 4) else None
    if alpha is not None and channels in (1, 3):  # composed on white, as in a browser
        opaque = alpha.astype(np.float32) / _white(have)
        colour = (colour * opaque + _white(have) * (1 - opaque)).round(0 if have.dtype == np.uint8 else 6)
    if channels <= 2 and colour.shape[1] == 3:
        grey = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), colour, axes=(0, 1))[:, None]
        colour = grey.round() if have.dtype == np.uint8 else grey
    if channels >= 3 and colour.shape[1] == 1:
        colour = np.repeat(colour, 3, axis=1)
    if channels in (2, 4):
        full = np.full_like(have[:, :1], _white(have)) if alpha is None else alpha
        colour = np.concatenate([colour.astype(have.dtype), full], axis=1)
    assert colour.shape[1] == channels, key
    return colour.astype(have.dtype)


def to_size(images: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return images resized to ``size`` (height, width) by Pillow's bilinear filter, which antialiases."""
    if images.shape[-2:] == tuple(size):
        return images
    flat = images.reshape(-1, *images.shape[-2:])
    resized = np.empty((len(flat), *size), images.dtype)
    for row, plane in enumerate(flat):
        resized[row] = np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))
    return resized.reshape(*images.shape[:-2], *size)


def _white(images: NDArray[Any]) -> float:
    return 255.0 if images.dtype == np.uint8 else 1.0

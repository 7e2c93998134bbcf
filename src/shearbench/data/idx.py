"""IDX files, the format of MNIST: a big-endian header (magic, dimensions), then bytes. Plain or gzipped.

The header decides how much is read, and it is checked against a cap first, so a file that unpacks to
gigabytes costs no more than the cap. Format: http://yann.lecun.com/exdb/mnist, "FILE FORMATS FOR THE MNIST
DATABASE".
"""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Split
from shearbench.errors import InputError

IMAGES_MAGIC = 0x00000803  # unsigned bytes, 3 dimensions
LABELS_MAGIC = 0x00000801  # unsigned bytes, 1 dimension
MAX_BYTES = 1 << 28  # 256 MiB, over five times MNIST's training images
MNIST_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_GZIP = b"\x1f\x8b"
_NEXT = "take the file from its source again"


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read 28x28 images, uint8 (n, 28, 28), from an IDX file, gzipped or not.

    Raises:
        InputError: if the file is missing, has another magic or size of image, declares more than
            ``MAX_BYTES``, is cut short or has bytes left over.
    """
    images = _read(path, IMAGES_MAGIC, dimensions=3)
    if images.shape[1:] != (28, 28):
        raise InputError(f"{path} must hold images of 28 x 28, got {images.shape[1]} x {images.shape[2]}")
    return images


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Read labels 0 to 9, uint8 (n,), from an IDX file, gzipped or not.

    Raises:
        InputError: as for :func:`read_images`, or if a label is above 9.
    """
    labels = _read(path, LABELS_MAGIC, dimensions=1)
    if len(labels) and labels.max() > 9:
        place = int((labels > 9).argmax())
        raise InputError(f"{path} must hold labels 0 to 9, got {labels[place]} at position {place}; {_NEXT}")
    return labels


def read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images and their labels; InputError if either file is bad or their counts differ."""
    images, labels = read_images(images_path), read_labels(labels_path)
    if len(images) != len(labels) or not len(images):
        raise InputError(
            f"{images_path} and {labels_path} must hold as many images as labels, at least one, got "
            f"{len(images)} images and {len(labels)} labels; {_NEXT}"
        )
    return images, labels


def encode(array: NDArray[np.uint8]) -> bytes:
    """Return the uncompressed IDX file of images (n, 28, 28) or labels (n,)."""
    assert array.dtype == np.uint8, array.dtype
    magic = {3: IMAGES_MAGIC, 1: LABELS_MAGIC}[array.ndim]
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def _read(path: Path, magic: int, *, dimensions: int) -> NDArray[np.uint8]:
    try:
        with _open(path) as file:
            shape = _read_header(path, file, magic, dimensions)
            size = prod(shape)
            content = file.read(size + 1)  # one more than declared shows that something is left over
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}); {_NEXT}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) != size:
        found = "more" if len(content) > size else f"only {len(content)}"
        raise InputError(f"{path} declares {size} bytes of data for shape {shape} but holds {found}; {_NEXT}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")


def _read_header(path: Path, file: BinaryIO, magic: int, dimensions: int) -> tuple[int, ...]:
    length = 4 * (1 + dimensions)
    header = file.read(length)
    if len(header) < length:
        raise InputError(f"{path} must begin with an IDX header of {length} bytes, got {len(header)}; {_NEXT}")
    found, *shape = struct.unpack(f">{1 + dimensions}I", header)
    if found != magic:
        kind = "images" if magic == IMAGES_MAGIC else "labels"
        raise InputError(f"{path} must begin with {magic:#010x}, an IDX file of {kind}, got {found:#010x}; {_NEXT}")
    if prod(shape) > MAX_BYTES:
        raise InputError(
            f"{path} declares {prod(shape)} bytes for shape {tuple(shape)}, the most is {MAX_BYTES}; {_NEXT}"
        )
    return tuple(shape)

"""IDX files, the format of MNIST: a big-endian header (magic, dimensions), then values. Plain or gzipped.

The header gives the number of bytes to read. It is first checked against a limit, so a file that unpacks to
gigabytes takes no more memory than the limit. Format: http://yann.lecun.com/exdb/mnist, "FILE FORMATS FOR THE MNIST
DATABASE".
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import Split
from shearbench.errors import InputError

IMAGES_MAGIC = 0x00000803  # unsigned bytes, 3 dimensions
LABELS_MAGIC = 0x00000801  # unsigned bytes, 1 dimension
GROUPS_MAGIC = 0x00000C01  # 32-bit integers, 1 dimension
TABLE_MAGIC = 0x00000C02  # 32-bit integers, 2 dimensions
MAX_BYTES = 1 << 28  # 256 MiB, over five times MNIST's training images
MNIST_FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
GROUPS_FILES: dict[Split, str] = {"train": "train-groups-idx1-int", "test": "t10k-groups-idx1-int"}
"""Files with the writer of each digit, beside the four files of MNIST, if the writers are known."""
_KINDS = {IMAGES_MAGIC: "images", LABELS_MAGIC: "labels", GROUPS_MAGIC: "groups", TABLE_MAGIC: "QMNIST's labels"}
_GZIP = b"\x1f\x8b"
_NEXT = "take the file from its source again"
OTHER_IMAGES = "for images of another size or other classes use `kind: idx` in params.yaml"


def read_images(path: Path, size: tuple[int, int] | None = (28, 28), *, most: int = MAX_BYTES) -> NDArray[np.uint8]:
    """Read images, uint8 (n, height, width), from an IDX file, gzipped or not; ``size`` None allows any size.

    Raises:
        InputError: if the file is missing, has another magic or size of image, declares more than ``most`` bytes, is
            cut short or has bytes left over.
    """
    images = _read(path, IMAGES_MAGIC, dimensions=3, most=most)
    if size is not None and images.shape[1:] != size:
        raise InputError(
            f"{path} must hold images of {size[0]} x {size[1]}, got {images.shape[1]} x {images.shape[2]}; "
            f"{OTHER_IMAGES}"
        )
    return images


def read_labels(path: Path, classes: int | None = 10) -> NDArray[np.uint8]:
    """Read labels, uint8 (n,), from an IDX file, gzipped or not; ``classes`` None allows any number of classes.

    Raises:
        InputError: as for :func:`read_images`, or if a label is not below ``classes``.
    """
    labels = _read(path, LABELS_MAGIC, dimensions=1, most=MAX_BYTES)
    if classes is not None and len(labels) and labels.max() >= classes:
        place = int((labels >= classes).argmax())
        raise InputError(
            f"{path} must hold labels 0 to {classes - 1}, got {labels[place]} at position {place}; {OTHER_IMAGES}"
        )
    return labels


def shape_of(path: Path) -> tuple[int, int, int]:
    """Return the number, height and width of the images of a file, from its header."""
    with _opened(path) as file:
        count, height, width = _read_header(path, file, IMAGES_MAGIC, 3, most=None)
    return count, height, width


def read_pair(
    images_path: Path,
    labels_path: Path,
    *,
    size: tuple[int, int] | None = (28, 28),
    classes: int | None = 10,
    most: int = MAX_BYTES,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images and their labels; InputError if either file is bad or their counts differ."""
    images, labels = read_images(images_path, size, most=most), read_labels(labels_path, classes)
    if len(images) != len(labels) or not len(images):
        raise InputError(
            f"{images_path} and {labels_path} must hold as many images as labels, at least one, got "
            f"{len(images)} images and {len(labels)} labels; {_NEXT}"
        )
    return images, labels


def read_groups(path: Path) -> NDArray[np.int64]:
    """Read groups, int64 (n,), from an IDX file of 32-bit integers; InputError as for :func:`read_images`."""
    return _read(path, GROUPS_MAGIC, dimensions=1).astype(np.int64)


def read_table(path: Path) -> NDArray[np.int64]:
    """Read a table, int64 (rows, columns), from an IDX file of 32-bit integers; InputError as before."""
    return _read(path, TABLE_MAGIC, dimensions=2).astype(np.int64)


def encode(array: NDArray[np.uint8] | NDArray[np.int32]) -> bytes:
    """Return the uncompressed IDX file of images (n, h, w) or labels (n,), uint8, or of groups (n,), int32."""
    magic = {("uint8", 3): IMAGES_MAGIC, ("uint8", 1): LABELS_MAGIC, ("int32", 1): GROUPS_MAGIC}
    header = (magic[array.dtype.name, array.ndim], *array.shape)
    return struct.pack(f">{1 + array.ndim}I", *header) + array.astype(array.dtype.newbyteorder(">")).tobytes()


def find(folder: Path, name: str) -> Path | None:
    """Return a file under one of its usual names (``.idx`` for ``-idx``, ``.gz`` at the end), or None."""
    candidates = (folder / f"{stem}{end}" for end in ("", ".gz") for stem in (name, name.replace("-idx", ".idx")))
    return next((path for path in candidates if path.is_file()), None)


def _read(path: Path, magic: int, *, dimensions: int, most: int = MAX_BYTES) -> NDArray[Any]:
    kind = np.dtype(">i4" if magic in (GROUPS_MAGIC, TABLE_MAGIC) else "u1")
    with _opened(path) as file:
        shape = _read_header(path, file, magic, dimensions, most=most)
        size = prod(shape) * kind.itemsize
        content = file.read(size + 1)  # one more byte than declared reveals extra content
    if len(content) != size:
        found = "more" if len(content) > size else f"only {len(content)}"
        raise InputError(f"{path} declares {size} bytes of data for shape {shape} but holds {found}; {_NEXT}")
    return np.frombuffer(content, kind).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, gzipped or not; raise InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            yield cast(BinaryIO, gzip.GzipFile(fileobj=file)) if zipped else file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is a damaged gzip file ({error}); {_NEXT}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _read_header(path: Path, file: BinaryIO, magic: int, dimensions: int, *, most: int | None) -> tuple[int, ...]:
    length = 4 * (1 + dimensions)
    header = file.read(length)
    if len(header) < length:
        raise InputError(f"{path} must begin with an IDX header of {length} bytes, got {len(header)}; {_NEXT}")
    found, *shape = struct.unpack(f">{1 + dimensions}I", header)
    if found != magic:
        wanted = f"{magic:#010x}, an IDX file of {_KINDS[magic]}"
        raise InputError(f"{path} must begin with {wanted}, got {found:#010x}; {_NEXT}")
    if most is not None and prod(shape) > most:
        raise InputError(f"{path} declares {prod(shape)} bytes for shape {tuple(shape)}, the most is {most}; {_NEXT}")
    return tuple(shape)

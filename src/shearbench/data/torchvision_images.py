"""A classification dataset of torchvision as a source: ``collect(name, source)`` downloads it and checks its hashes."""

import http.client
import inspect
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from shearbench.data.collected import Collected, Raw, settle
from shearbench.data.config import TorchvisionImages
from shearbench.data.dataset import Split
from shearbench.errors import InputError
from shearbench.execution.progress import progress_bar

STALLED_SECONDS = 30.0
_SPLITS: dict[Split, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}


def collect(name: str, source: TorchvisionImages) -> Collected:
    """Download both parts of a dataset; a test part is split off if the dataset has none.

    Raises:
        InputError: if torchvision has no such dataset, the options do not fit, or the download fails.
    """
    key = f"sources.{name}"
    builder = _builder(key, source.dataset)
    takes = inspect.signature(builder).parameters
    with tempfile.TemporaryDirectory(prefix="shearbench-torchvision-") as folder, socket_timeout(STALLED_SECONDS):
        parts: dict[Split, Raw] = {}
        classes = None
        for split, arguments in _parts_of(takes, source).items():
            try:
                made = builder(folder, download=True, **arguments, **source.options)
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                raise InputError(
                    f"{key}: {source.dataset} could not be downloaded: {str(error).strip()}\nMend the network, or take "
                    f"its files from elsewhere and use `kind: folder`, `idx` or `npz`"
                ) from None
            except (TypeError, ValueError) as error:
                raise InputError(f"{key}.options do not suit {source.dataset}: {error}") from None
            parts[split] = _arrays(key, made)
            classes = getattr(made, "classes", None)
    return settle(name, source, parts, [str(each) for each in classes] if classes else None)


def _builder(key: str, dataset: str) -> Any:
    from shearbench.torchvision_ops import torchvision  # torch is slow to import, and only this source needs it

    known = {
        each: getattr(torchvision.datasets, each)
        for each in torchvision.datasets.__all__
        if "download" in inspect.signature(getattr(torchvision.datasets, each)).parameters
    }
    if dataset not in known:
        raise InputError(
            f"{key}.dataset must be one that torchvision can download ({', '.join(sorted(known))}); got {dataset!r}"
        )
    return known[dataset]


def _parts_of(takes: Any, source: TorchvisionImages) -> dict[Split, dict[str, Any]]:
    if "train" in takes:
        return _SPLITS
    if "split" in takes and "split" not in source.options:
        return {"train": {"split": "train"}, "test": {"split": "test"}}
    return {"train": {}}


def _arrays(key: str, made: Any) -> Raw:
    """Return images and labels, from the arrays of the dataset if it has them, otherwise image by image."""
    labels = getattr(made, "targets", getattr(made, "labels", None))
    data = getattr(made, "data", None)
    if data is not None and labels is not None and len(data) == len(labels):
        return Raw(np.asarray(data), np.asarray(labels))
    images, found = [], []
    with progress_bar(f"{key}: images", 0, len(made)) as show:
        for row in range(len(made)):
            image, label = made[row]
            images.append(np.asarray(image))
            found.append(label)
            show(row + 1)
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise InputError(
            f"{key} has images of {len(sizes)} sizes; save them as files and use `kind: folder` with `resize`"
        )
    return Raw(np.stack(images), np.asarray(found))


@contextmanager
def socket_timeout(seconds: float) -> Iterator[None]:
    """Set a time limit for connections, because torchvision sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)

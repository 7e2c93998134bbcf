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
from shearbench.execution.calls import progress_bar

_STALLED_SECONDS = 30.0


def collect(name: str, source: TorchvisionImages) -> Collected:
    """Download both parts of a dataset; a test part is split off if the dataset has none.

    Raises:
        InputError: if torchvision has no such dataset, the options do not fit, or the download fails.
    """
    key = f"sources.{name}"
    builder = _builder(key, source.dataset)
    instead = "take its files from elsewhere and use `kind: folder`, `idx` or `npz`"
    parts: dict[Split, Raw] = {}
    classes = None
    with download_folder(f"{key}: {source.dataset}", instead) as folder:
        for split, arguments in _parts_of(inspect.signature(builder).parameters, source).items():
            try:
                made = builder(folder, download=True, **arguments, **source.options)
            except (TypeError, ValueError) as error:
                raise InputError(f"{key}.options do not suit {source.dataset}: {error}") from None
            parts[split] = _arrays(key, made)
            classes = getattr(made, "classes", None)
    return settle(name, source, parts, [str(each) for each in classes] if classes else None)


@contextmanager
def download_folder(what: str, instead: str) -> Iterator[str]:
    """Yield a temporary folder for a download by torchvision, with a time limit, because torchvision sets none.

    Raises:
        InputError: if the download fails; the message names ``what``, the reason and what to do ``instead``.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_SECONDS)
    try:
        with tempfile.TemporaryDirectory(prefix="shearbench-") as folder:
            yield folder
    except (RuntimeError, OSError, http.client.HTTPException) as error:
        reason = str(error).strip()
        raise InputError(f"{what} could not be downloaded: {reason}\nMend the network, or {instead}") from None
    finally:
        socket.setdefaulttimeout(before)


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
        return {"train": {"train": True}, "test": {"train": False}}
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

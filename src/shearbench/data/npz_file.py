"""One NPZ file in the layout of MedMNIST as a source: ``collect(name, source, path)``.

Arrays ``train_images`` (n, h, w) or (n, h, w, channels), ``train_labels`` (n,) or (n, 1), and the same of ``val`` and
``test``; optionally ``train_groups`` (n,) and so on, and ``classes``, the names in the order of the labels.
"""

import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.collected import Collected, Decision, Raw, check_memory, settle
from shearbench.data.config import NpzFile
from shearbench.data.dataset import Split
from shearbench.data.units import UNKNOWN
from shearbench.errors import InputError


def collect(name: str, source: NpzFile, path: Path) -> Collected:
    """Return the images of an NPZ file; ``val`` is added to the training part.

    Raises:
        InputError: if the file is missing or damaged, needs pickles, or lacks arrays.
    """
    key = f"sources.{name}"
    arrays = read_arrays(f"{key}.path", path)
    if "train_images" not in arrays:
        raise InputError(
            f"{path} must hold train_images and train_labels; it holds {', '.join(sorted(arrays)) or 'none'}"
        )
    parts = {part: _part(key, path, part, arrays) for part in ("train", "val", "test") if f"{part}_images" in arrays}
    decisions = []
    raw: dict[Split, Raw] = {"train": parts["train"]}
    if "val" in parts:
        raw["train"] = _joined(path, parts["train"], parts["val"])
        decisions.append(Decision("val", "train", f"{len(parts['val'].images):,} images of val join the training part"))
    if "test" in parts:
        raw["test"] = parts["test"]
    classes = [str(each) for each in arrays["classes"].tolist()] if "classes" in arrays else None
    return settle(name, source, raw, classes, decisions)


def read_arrays(key: str, path: Path) -> dict[str, NDArray[Any]]:
    """Read the NPZ file of the user that the parameter ``key`` names.

    Raises:
        InputError: if the file is missing or damaged, or needs pickles.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {each: archive[each] for each in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} is missing; correct {key} in params.yaml") from None
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as an NPZ file of plain arrays ({error}); write it with numpy.savez"
        ) from None


def _part(key: str, path: Path, part: str, arrays: dict[str, NDArray[Any]]) -> Raw:
    images = arrays[f"{part}_images"]
    if f"{part}_labels" not in arrays:
        raise InputError(f"{path} has {part}_images but no {part}_labels; add them")
    if images.ndim > 2:
        check_memory(key, len(images), images.shape[1:3], prod(images.shape[3:]), images.itemsize)
    labels = arrays[f"{part}_labels"]
    return Raw(images, labels[:, 0] if labels.shape[1:] == (1,) else labels, arrays.get(f"{part}_groups"))


def _joined(path: Path, train: Raw, val: Raw) -> Raw:
    if train.images.shape[1:] != val.images.shape[1:] or train.labels.ndim != val.labels.ndim:
        raise InputError(f"{path}: train_images {train.images.shape} and val_images {val.images.shape} must be alike")
    groups = [
        np.full(len(part.images), str(UNKNOWN)) if part.groups is None else part.groups.astype(str)
        for part in (train, val)
    ]
    images, labels = np.concatenate([train.images, val.images]), np.concatenate([train.labels, val.labels])
    return Raw(images, labels, np.concatenate(groups))

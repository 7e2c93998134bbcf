"""One NPZ file in the layout of MedMNIST as a source: ``collect(name, source, path)``.

Arrays ``train_images`` (n, h, w) or (n, h, w, channels), ``train_labels`` (n,) or (n, 1), and the same of ``val`` and
``test``; optionally ``train_groups`` (n,) and so on, and ``classes``, the names in the order of the labels.
"""

import zipfile
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
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {each: archive[each] for each in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} is missing; correct {key}.path in params.yaml") from None
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as an NPZ file of plain arrays ({error}); write it with numpy.savez"
        ) from None
    if "train_images" not in arrays:
        raise InputError(
            f"{path} must hold train_images and train_labels; it holds {', '.join(sorted(arrays)) or 'none'}"
        )
    parts = {part: _part(path, part, arrays) for part in ("train", "val", "test") if f"{part}_images" in arrays}
    for part in parts.values():
        check_memory(
            key,
            len(part.images),
            part.images.shape[1:3],
            1,
            int(part.images[:1].nbytes / max(1, part.images[:1, ..., :].size)),
        )
    decisions = []
    if "val" in parts:
        decisions.append(Decision("val", "train", f"{len(parts['val'].images):,} images of val join the training part"))
    raw: dict[Split, Raw] = {"train": _joined(path, parts["train"], parts.get("val"))}
    if "test" in parts:
        raw["test"] = parts["test"]
    classes = [str(each) for each in arrays["classes"].tolist()] if "classes" in arrays else None
    collected = settle(name, source, raw, classes)
    return Collected(collected.parts, collected.classes, decisions + collected.decisions)


def _part(path: Path, part: str, arrays: dict[str, NDArray[Any]]) -> Raw:
    if f"{part}_labels" not in arrays:
        raise InputError(f"{path} has {part}_images but no {part}_labels; add them")
    return Raw(arrays[f"{part}_images"], arrays[f"{part}_labels"], arrays.get(f"{part}_groups"))


def _joined(path: Path, train: Raw, val: Raw | None) -> Raw:
    if val is None:
        return train
    if train.images.shape[1:] != val.images.shape[1:]:
        raise InputError(f"{path}: train_images {train.images.shape} and val_images {val.images.shape} must be alike")
    groups = None
    if train.groups is not None or val.groups is not None:
        groups = np.concatenate(
            [
                np.full(len(each.labels), str(UNKNOWN)) if each.groups is None else each.groups.astype(str)
                for each in (train, val)
            ]
        )
    images, labels = (np.concatenate([getattr(each, name) for each in (train, val)]) for name in ("images", "labels"))
    return Raw(images, labels, groups)

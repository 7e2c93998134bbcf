"""IDX files of any size and any classes as a source: ``collect(name, source, folder)``."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data import idx
from shearbench.data.collected import Collected, Raw, check_memory, settle
from shearbench.data.config import IdxFiles
from shearbench.data.dataset import SPLITS, Split
from shearbench.data.npz_file import read_arrays
from shearbench.errors import InputError

_PART_NAMES: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("t10k", "test")}
_KINDS = {"images": 3, "labels": 1}


def collect(name: str, source: IdxFiles, folder: Path) -> Collected:
    """Return the images of IDX files; a test part is split off if its files are missing.

    Raises:
        InputError: if files are missing, ambiguous or damaged.
    """
    key = f"sources.{name}"
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; correct {key}.path in params.yaml")
    groups = _groups(key, folder / source.groups) if source.groups else {}
    parts: dict[Split, Raw] = {}
    for split in SPLITS:
        images, labels = (_find(key, source, folder, split, kind) for kind in _KINDS)
        if split == "test" and images is None and labels is None:
            continue
        if images is None or labels is None:
            kind = "images" if images is None else "labels"
            raise InputError(
                f"{folder} has no file {source.prefix}{_PART_NAMES[split][0]}-{kind}-idx{_KINDS[kind]}-ubyte (nor with "
                f".idx for -idx, nor with .gz at the end); add it, or correct {key}.path or prefix"
            )
        parts[split] = _read(key, source, images, labels, groups.get(f"{split}_groups"))
    return settle(name, source, parts)


def _read(key: str, source: IdxFiles, images_path: Path, labels_path: Path, groups: NDArray[Any] | None) -> Raw:
    count, height, width = idx.shape_of(images_path)
    check_memory(key, count, (height, width), 1)
    images, labels = idx.read_pair(images_path, labels_path, size=None, classes=None, most=count * height * width)
    if source.transpose:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return Raw(images, labels.astype(np.int64), groups)


def _find(key: str, source: IdxFiles, folder: Path, split: Split, kind: str) -> Path | None:
    """Return the file of a part under one of its usual names, or None."""
    names = [f"{source.prefix}{part}-{kind}-idx{_KINDS[kind]}-ubyte" for part in _PART_NAMES[split]]
    found = next((path for name in names if (path := idx.find(folder, name))), None)
    if found is not None or source.prefix:
        return found
    others = sorted(
        {path.name.split(part)[0] for part in _PART_NAMES[split] for path in folder.glob(f"*{part}-{kind}*")}
    )
    if others:
        raise InputError(f"{folder} has files of {', '.join(others)}; choose with {key}.prefix: {others[0]}")
    return None


def _groups(key: str, path: Path) -> dict[str, NDArray[Any]]:
    """Read ``train_groups`` and ``test_groups`` from an NPZ file; one of them may be missing."""
    arrays = read_arrays(f"{key}.groups", path)
    if not {f"{split}_groups" for split in SPLITS} & arrays.keys():
        raise InputError(f"{key}.groups: {path} must hold train_groups or test_groups")
    return arrays

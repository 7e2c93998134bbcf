"""IDX files of any size and any classes as a source: ``collect(name, source, folder)``."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data import idx
from shearbench.data.collected import Collected, Raw, check_memory, settle
from shearbench.data.config import IdxFiles
from shearbench.data.dataset import SPLITS, Split
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
    groups = _group_arrays(key, folder / source.groups) if source.groups else {}
    parts: dict[Split, Raw] = {}
    for split in ("train", "test"):
        paths = {kind: _find(key, source, folder, split, kind) for kind in _KINDS}
        if split == "test" and all(path is None for path in paths.values()):
            continue
        missing = [kind for kind, path in paths.items() if path is None]
        if missing:
            start = source.prefix + _PART_NAMES[split][0]
            raise InputError(
                f"{folder} has no file {start}-{missing[0]}-idx{_KINDS[missing[0]]}-ubyte (nor with .idx for -idx, nor "
                f"with .gz at the end); add it, or correct {key}.path or prefix"
            )
        parts[split] = _read(key, source, paths["images"], paths["labels"], groups.get(split))  # type: ignore[arg-type]
    return settle(name, source, parts)


def _read(key: str, source: IdxFiles, images_path: Path, labels_path: Path, groups: object) -> Raw:
    count, height, width = idx.shape_of(images_path)
    check_memory(key, count, (height, width), 1)
    images, labels = idx.read_pair(images_path, labels_path, size=None, classes=None, most=count * height * width)
    if source.transpose:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return Raw(images, labels.astype(np.int64), groups)  # type: ignore[arg-type]


def _find(key: str, source: IdxFiles, folder: Path, split: Split, kind: str) -> Path | None:
    """Return the file of a part under one of its usual names, or None."""
    endings = [f"-{kind}{mark}idx{_KINDS[kind]}-ubyte" for mark in "-."]
    names = [
        f"{source.prefix}{part}{end}{packed}"
        for part in _PART_NAMES[split]
        for end in endings
        for packed in ("", ".gz")
    ]
    found = next((folder / each for each in names if (folder / each).is_file()), None)
    if found is not None or source.prefix:
        return found
    others = sorted(
        {path.name.split(part)[0] for part in _PART_NAMES[split] for path in folder.glob(f"*{part}-{kind}*")}
    )
    if others:
        raise InputError(f"{folder} has files of {', '.join(others)}; choose with {key}.prefix: {others[0]}")
    return None


def _group_arrays(key: str, path: Path) -> dict[Split, NDArray[Any]]:
    """Read ``train_groups`` and ``test_groups`` from an NPZ file; one of them may be missing."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {split: archive[f"{split}_groups"] for split in SPLITS if f"{split}_groups" in archive.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{key}.groups: {path} cannot be read as an NPZ file ({error}); write it with numpy.savez"
        ) from None
    if not found:
        raise InputError(f"{key}.groups: {path} must hold train_groups or test_groups")
    return found

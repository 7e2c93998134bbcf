"""Sources that come as arrays: IDX files, an NPZ file, a dataset of torchvision. ``collect_...`` returns its images.

- IDX files have images of any size and any classes.
- An NPZ file has the layout of MedMNIST: arrays ``train_images`` (n, h, w) or (n, h, w, channels), ``train_labels``
  (n,) or (n, 1), and the same of ``val`` and ``test``; optionally ``train_groups`` (n,) and so on, and ``classes``, the
  names in the order of the labels.
- torchvision downloads its classification datasets and checks their hashes.
"""

import inspect
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data import idx
from shearbench.data.collected import Collected, Decision, Raw, check_memory, plain, settle
from shearbench.data.config import IdxFiles, NpzFile, TorchvisionImages
from shearbench.data.dataset import SPLITS, Split
from shearbench.data.download import download_folder
from shearbench.data.units import UNKNOWN
from shearbench.errors import InputError
from shearbench.execution.calls import progress_bar

_PART_NAMES: dict[Split, tuple[str, ...]] = {"train": ("train",), "test": ("t10k", "test")}
_DIMENSIONS = {"images": 3, "labels": 1}


def collect_idx(name: str, source: IdxFiles, folder: Path) -> Collected:
    """Return the images of IDX files; a test part is split off if its files are missing.

    Raises:
        InputError: if files are missing, ambiguous or damaged.
    """
    key = f"sources.{name}"
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; correct {key}.path in params.yaml")
    groups = _read_groups(key, folder / source.groups) if source.groups else {}
    parts: dict[Split, Raw] = {}
    for split in SPLITS:
        images, labels = (_find_idx(key, source, folder, split, kind) for kind in _DIMENSIONS)
        if split == "test" and images is None and labels is None:
            continue
        if images is None or labels is None:
            kind = "images" if images is None else "labels"
            raise InputError(
                f"{folder} has no file {source.prefix}{_PART_NAMES[split][0]}-{kind}-idx{_DIMENSIONS[kind]}-ubyte (nor "
                f"with .idx for -idx, nor with .gz at the end); add it, or correct {key}.path or prefix"
            )
        parts[split] = _read_idx(key, source, images, labels, groups.get(f"{split}_groups"))
    return settle(name, source, parts)


def _read_idx(key: str, source: IdxFiles, images_path: Path, labels_path: Path, groups: NDArray[Any] | None) -> Raw:
    count, height, width = idx.shape_of(images_path)
    check_memory(key, count, (height, width), 1)
    images, labels = idx.read_pair(images_path, labels_path, size=None, classes=None, most=count * height * width)
    if source.transpose:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return Raw(images, labels.astype(np.int64), groups)


def _find_idx(key: str, source: IdxFiles, folder: Path, split: Split, kind: str) -> Path | None:
    """Return the file of a part under one of its usual names, or None."""
    names = [f"{source.prefix}{part}-{kind}-idx{_DIMENSIONS[kind]}-ubyte" for part in _PART_NAMES[split]]
    found = next((path for name in names if (path := idx.find(folder, name))), None)
    if found is not None or source.prefix:
        return found
    others = sorted(
        {path.name.split(part)[0] for part in _PART_NAMES[split] for path in folder.glob(f"*{part}-{kind}*")}
    )
    if others:
        raise InputError(f"{folder} has files of {', '.join(others)}; choose with {key}.prefix: {others[0]}")
    return None


def _read_groups(key: str, path: Path) -> dict[str, NDArray[Any]]:
    """Read ``train_groups`` and ``test_groups`` from an NPZ file; one of them may be missing."""
    arrays = read_arrays(f"{key}.groups", path)
    if not {f"{split}_groups" for split in SPLITS} & arrays.keys():
        raise InputError(f"{key}.groups: {path} must hold train_groups or test_groups")
    return arrays


def collect_npz(name: str, source: NpzFile, path: Path) -> Collected:
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
    parts = {part: _part_of(key, path, part, arrays) for part in ("train", "val", "test") if f"{part}_images" in arrays}
    decisions = []
    raw: dict[Split, Raw] = {"train": parts["train"]}
    if "val" in parts:
        raw["train"] = _joined(path, parts["train"], parts["val"])
        decisions.append(Decision("val", "train", f"{len(parts['val'].images):,} images of val join the training part"))
    if "test" in parts:
        raw["test"] = parts["test"]
    read = {f"{part}_{kind}" for part in parts for kind in ("images", "labels", "groups")} | {"classes"}
    if others := sorted(arrays.keys() - read):
        raise InputError(
            f"{path} holds arrays that are not read: {', '.join(others)}; name them train_, val_ or test_ with images, "
            "labels or groups, or leave them out"
        )
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


def _part_of(key: str, path: Path, part: str, arrays: dict[str, NDArray[Any]]) -> Raw:
    images = arrays[f"{part}_images"]
    if f"{part}_labels" not in arrays:
        raise InputError(f"{path} has {part}_images but no {part}_labels; add them")
    if images.ndim > 2:
        check_memory(key, len(images), images.shape[1:3], prod(images.shape[3:]), images.itemsize)
    labels, groups = arrays[f"{part}_labels"], arrays.get(f"{part}_groups")
    if groups is not None:  # before those of val join them
        groups = plain(f"{path}: {part}_groups", groups, missing=UNKNOWN)
    return Raw(images, labels[:, 0] if labels.shape[1:] == (1,) else labels, groups)


def _joined(path: Path, train: Raw, val: Raw) -> Raw:
    for what in ("images", "labels"):
        one, other = getattr(train, what), getattr(val, what)
        if one.shape[1:] != other.shape[1:] or one.dtype.kind != other.dtype.kind:
            raise InputError(
                f"{path}: train_{what} {one.shape} {one.dtype} and val_{what} {other.shape} {other.dtype} must be "
                "alike, because val joins the training part"
            )
    groups = [
        np.full(len(part.images), str(UNKNOWN)) if part.groups is None else part.groups.astype(str)
        for part in (train, val)
    ]
    images, labels = np.concatenate([train.images, val.images]), np.concatenate([train.labels, val.labels])
    return Raw(images, labels, np.concatenate(groups))


def collect_torchvision(name: str, source: TorchvisionImages) -> Collected:
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

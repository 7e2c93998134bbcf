"""Build and read the raw data: the folder ``data/``, made atomically from the sources in ``params.yaml``.

``data/<source>/`` of MNIST holds four uncompressed IDX files in MNIST's layout, and two more if writers are known. That
of a user's own images holds ``train.npz`` and ``test.npz`` (``images``, ``labels``, ``groups``), ``classes.json``
(names in the order of the labels, counts, and the number of each decision) and ``manifest.csv``: one line for each
image of a folder, with its id in the source, and one for each decision about an image. ``data/class_digits/`` holds
PNGs named ``digit-group-member.png`` (with ``truth.csv`` for the stand-in class).

The same sources give the same bytes on every machine. They are compared with the hash in ``data.dvc`` before any use.
DVC accepts changed data silently: it rewrites ``md5`` in ``data.dvc`` and goes on. It does not change ``meta``, so the
adopted hash is stored there, with the sources of the data. Only ``shearbench data --adopt`` changes it.
"""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from shearbench.data import arrays, class_digits, image_folder, mnist
from shearbench.data.collected import Collected
from shearbench.data.config import IdxFiles, ImageFolder, Mnist, Own, Sources, TorchvisionImages
from shearbench.data.dataset import DIGITS, SPLITS, Samples, Split, read_named
from shearbench.data.handwritten import is_litter
from shearbench.data.idx import GROUPS_FILES, MNIST_FILES, encode, read_groups, read_pair, shape_of
from shearbench.data.units import UNKNOWN, none_given
from shearbench.errors import InputError, few
from shearbench.records import csv_of, read_json, write_json, write_npz, write_text

CLASS_DIGITS = "class_digits"
CLASSES, MANIFEST = "classes.json", "manifest.csv"
_ARRAYS = ("images", "labels", "groups")
_Read = tuple[str, NDArray[Any], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]
ADOPT = "`shearbench data --adopt`"
CACHE = Path(".dvc") / "cache"
"""DVC's cache, unless it is configured elsewhere; the file lists of folders that a stage reads are always here."""
OBJECTS = Path("files") / "md5"


def build(data: Path, sources: Sources, data_dvc: Path, *, adopt: bool, report: Callable[[str], None]) -> None:
    """Make ``data`` from ``sources``; without ``adopt``, its hash must be that in ``data_dvc``.

    A folder with the hash in ``data_dvc`` is left unchanged. A folder with other content is renamed to ``data.old``.
    A relative ``path`` of a source is resolved to the parent folder of ``data``. ``adopt`` accepts any content of the
    sources and records its hash. ``report`` is called with each line for the user.

    Raises:
        InputError: if a source is bad, or data or sources are not as recorded; ``data`` is then unchanged.
    """
    expected = None if adopt else adopted_hash(data_dvc, sources)
    if expected is not None and data.is_dir() and tree_of(data).hash == expected:
        report(f"{data.name}/ has the hash in {data_dvc.name}; nothing to do")
        return
    with _partial_folder(data) as partial:
        _write(partial, sources, data.parent, report)
        tree = tree_of(partial)
        if expected not in (None, tree.hash):
            raise InputError(
                f"the sources in params.yaml now give data with hash {tree.hash}, but {data_dvc.name} records "
                f"{expected}: a file of the source has changed, or a package ships other digits than before. "
                f"Nothing was replaced. Restore the source, or accept the new data with {ADOPT}"
            )
        old_folder = _swap(partial, data)
    if adopt:
        write_adopted(data_dvc, data.name, tree, sources)
    report(f"{data.name}/ has {len(tree.files)} files, {tree.size / 1e6:.1f} MB, hash {tree.hash}")
    if old_folder is not None:
        report(f"what was in {data.name}/ before is now in {old_folder.name}/; remove it if you do not need it")


def read(folder: Path, first_id: int = 0) -> dict[Split, Samples]:
    """Read ``data/<source>/``; ids count on from ``first_id`` through the training and the test samples.

    Raises:
        InputError: if a file is missing or breaks a rule.
    """
    samples: dict[Split, Samples] = {}
    for split in SPLITS:
        read_split = _own_split if (folder / CLASSES).is_file() else _mnist_split
        name, images, labels, groups, classes = read_split(folder, split)
        ids = np.arange(first_id, first_id + len(labels), dtype=np.int64)
        samples[split] = Samples(name, ids, images, labels, groups, classes)
        first_id += len(labels)
    return samples


def _mnist_split(folder: Path, split: Split) -> _Read:
    images, labels = read_pair(*(folder / name for name in MNIST_FILES[split]))
    known = folder / GROUPS_FILES[split]
    groups = read_groups(known) if known.is_file() else none_given()
    return str(folder / MNIST_FILES[split][0]), images, labels.astype(np.int64), groups, DIGITS


def _own_split(folder: Path, split: Split) -> _Read:
    path, classes = folder / f"{split}.npz", read_json(folder / CLASSES)["classes"]
    found = read_named(path, _ARRAYS, "make it again with `shearbench data`")
    return str(path), found["images"], found["labels"], found["groups"], tuple(classes)


def facts_of(folder: Path) -> tuple[int, tuple[int, int]] | None:
    """Return the number of classes and the size of the images of ``data/<source>/``; None for IDX files of MNIST."""
    if not (folder / CLASSES).is_file():
        return None
    known = read_json(folder / CLASSES)
    return len(known["classes"]), (known["size"][0], known["size"][1])


def _write(folder: Path, sources: Sources, base: Path, report: Callable[[str], None]) -> None:
    for name, source in sources.images.items():
        (folder / name).mkdir()
        if not isinstance(source, Mnist):
            write_own(name, source, base, folder / name, report)
            continue
        for split, part in mnist.collect(source, base, name).items():
            for file, array in zip(MNIST_FILES[split], (part.images, part.labels), strict=True):
                (folder / name / file).write_bytes(encode(array))
            if (part.groups != UNKNOWN).any():
                (folder / name / GROUPS_FILES[split]).write_bytes(encode(part.groups.astype(np.int32)))
    (folder / CLASS_DIGITS).mkdir()
    if sources.class_digits is None:
        (folder / CLASS_DIGITS / "none.txt").write_text("params.yaml names no digits of a class\n")
    else:
        for name, content in class_digits.collect(sources.class_digits, base).items():
            (folder / CLASS_DIGITS / name).write_bytes(content)


@contextmanager
def _partial_folder(data: Path) -> Iterator[Path]:
    """Make an empty folder beside ``data``; remove it at the end, and first that of a killed run."""
    partial = data.with_name(f".{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _swap(partial: Path, data: Path) -> Path | None:
    """Replace ``data`` by the finished folder; return the new path of the old one if its content differs."""
    if not data.exists():
        partial.rename(data)
        return None
    same = tree_of(data).hash == tree_of(partial).hash
    names = (data.with_name(f"{data.name}.old{number or ''}") for number in count())
    old = next(path for path in names if not path.exists())
    data.rename(old)
    partial.rename(data)
    if not same:
        return old
    shutil.rmtree(old)
    return None


def collect_own(name: str, source: Own, base: Path) -> Collected:
    """Return the images of a source; a relative ``path`` is resolved to ``base``.

    Raises:
        InputError: if images are missing or break a rule; see ``data/collected.py``.
    """
    if isinstance(source, TorchvisionImages):
        return arrays.collect_torchvision(name, source)
    path = base / Path(source.path).expanduser()
    if isinstance(source, ImageFolder):
        return image_folder.collect(name, source, path)
    if isinstance(source, IdxFiles):
        return arrays.collect_idx(name, source, path)
    return arrays.collect_npz(name, source, path)


def write_own(name: str, source: Own, base: Path, folder: Path, report: Callable[[str], None]) -> None:
    """Write ``data/<source>/``, and report counts and decisions."""
    collected = collect_own(name, source, base)
    train, test = (collected.parts[split] for split in SPLITS)
    for split, part in collected.parts.items():
        write_npz(folder / f"{split}.npz", {key: getattr(part, key) for key in _ARRAYS})
    write_text(folder / MANIFEST, _manifest(collected))
    facts = {
        "classes": list(collected.classes),
        "kind": source.kind,
        "size": list(train.images.shape[-2:]),
        "counts": {split: len(part.labels) for split, part in collected.parts.items()},
        "decisions": collected.counted,
    }
    write_json(folder / CLASSES, facts)
    shape = " x ".join(map(str, train.images.shape[1:]))
    report(
        f"{name}: {len(train.labels):,} training and {len(test.labels):,} test images, {shape} {train.images.dtype}, "
        f"{len(collected.classes):,} classes"
    )
    for text, images in collected.counted.items():
        report(f"{name}: {images:,} x {text}")
    if collected.decisions:
        report(f"{name}: data/{name}/manifest.csv names them")


def format_of(folder: Path) -> tuple[int, str]:
    """Return the channels and the type of the training images of ``data/<source>/``, from their header."""
    if not (folder / "train.npz").is_file():
        raise InputError(f"{folder / 'train.npz'} is missing; run `shearbench data`")
    with zipfile.ZipFile(folder / "train.npz") as archive, archive.open("images.npy") as file:
        np.lib.format.read_magic(file)
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
    return (shape[1] if len(shape) == 4 else 1), kind.name


def train_pixels(folder: Path) -> int:
    """Return the number of pixels of all training images of ``data/<source>/``; InputError if it is missing."""
    if not folder.is_dir():
        raise InputError(f"{folder} is missing; run `shearbench data`, with --adopt after a change of sources")
    if (folder / CLASSES).is_file():
        known = read_json(folder / CLASSES)
        return int(known["counts"]["train"] * prod(known["size"]))
    return prod(shape_of(folder / MNIST_FILES["train"][0]))


def _manifest(collected: Collected) -> str:
    rows: list[Sequence[Any]] = [("place", "part", "item", "class", "decision")]
    first = 0
    for split in SPLITS:
        part = collected.parts[split]
        for row, item in enumerate(part.items or ()):
            rows.append((first + row, split, item, collected.classes[part.labels[row]], "taken"))
        first += len(part.labels)
    return csv_of([*rows, *(("", each.part, each.item, "", each.decision) for each in collected.decisions)])


@dataclass(frozen=True)
class Tree:
    """The content of a folder: the MD5 of each file by its path in the folder, and the total size in bytes."""

    files: Mapping[str, str]
    size: int

    @property
    def hash(self) -> str:
        """DVC's hash of the folder: the MD5 of its sorted list of files, as JSON, and ``.dir``."""
        entries = [{"md5": self.files[name], "relpath": name} for name in sorted(self.files)]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def tree_of(folder: Path) -> Tree:
    """Hash every file in a folder except those of file managers, which ``.dvcignore`` excludes too."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not is_litter(path.name)]
    files = {path.relative_to(folder).as_posix(): md5_of(path) for path in paths}
    return Tree(files, sum(path.stat().st_size for path in paths))


def write_adopted(data_dvc: Path, data_name: str, tree: Tree, sources: Sources) -> None:
    """Write ``data.dvc`` in DVC's format, with the adopted hash and sources under ``meta``."""
    out = {"md5": tree.hash, "size": tree.size, "nfiles": len(tree.files), "hash": "md5", "path": data_name}
    document = {"outs": [out], "meta": {"adopted": tree.hash, "sources": _declared(sources)}}
    write_text(data_dvc, yaml.safe_dump(document, sort_keys=False))


def adopted_hash(data_dvc: Path, sources: Sources) -> str:
    """Return the hash of the adopted data.

    Raises:
        InputError: if ``data_dvc`` is missing, is not YAML or has no adopted data, or if the data was made from other
            sources than those in ``params.yaml``.
    """
    try:
        meta = yaml.safe_load(data_dvc.read_text())["meta"]
        adopted, recorded = str(meta["adopted"]), dict(meta["sources"])
    except FileNotFoundError:
        raise InputError(f"{data_dvc} is missing; restore it with git, or run {ADOPT} to write it") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{data_dvc} must say `meta: {{adopted: HASH, sources: ...}}`, but does not ({error}); "
            f"restore it with git, or run {ADOPT} to write it"
        ) from None
    declared = _declared(sources)
    if declared != recorded:
        raise InputError(
            f"sources in params.yaml is {declared}, but the data recorded in data.dvc was made from {recorded}; run "
            f"{ADOPT} to replace data/ on purpose, or undo the change in params.yaml"
        )
    return adopted


def _declared(sources: Sources) -> dict[str, Any]:
    return sources.model_dump(mode="json", exclude_defaults=True)


def verify(data: Path, data_dvc: Path, sources: Sources) -> Tree:
    """Return the content of ``data`` if it has the hash and the sources recorded in ``data_dvc``.

    Raises:
        InputError: if the folder is missing or differs, naming both hashes, what differs, and the ways out.
    """
    if not data.is_dir():
        raise InputError(f"{data} is missing; run `shearbench data` to make it")
    adopted, tree = adopted_hash(data_dvc, sources), tree_of(data)
    if tree.hash != adopted:
        raise InputError(
            f"{data} has hash {tree.hash}, but {data_dvc.name} records {adopted}"
            f"{_changes(data_dvc, adopted, tree)}.\n"
            "To restore the recorded data: `shearbench data` (the present folder is kept as data.old).\n"
            "To use other data: put it in a folder of its own, name that folder under sources in params.yaml, and run "
            f"{ADOPT}"
        )
    return tree


def _changes(data_dvc: Path, adopted: str, tree: Tree) -> str:
    """Return a list of the files that differ as text; empty if DVC's cache lacks the list of adopted files."""
    before = listing(data_dvc.parent / CACHE, adopted)
    if not before:
        return ""
    kinds = {
        "changed": [name for name in tree.files if name in before and tree.files[name] != before[name]],
        "added": [name for name in tree.files if name not in before],
        "missing": [name for name in before if name not in tree.files],
    }
    return "".join(f"; {kind}: {few(sorted(names))}" for kind, names in kinds.items() if names)


def listing(cache: Path, tree: str) -> dict[str, str]:
    """Return path -> MD5 of a folder with the hash ``tree`` from DVC's cache; empty if that list is lost or damaged."""
    try:
        return {entry["relpath"]: entry["md5"] for entry in read_json(cache / OBJECTS / tree[:2] / tree[2:])}
    except (InputError, KeyError, TypeError, OSError):
        return {}


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, which is its name in DVC's cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()

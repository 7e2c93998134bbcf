"""A user's own images: ``write`` copies them from any kind of source to ``data/<source>/``, ``read`` loads them.

``data/<source>/`` holds ``train.npz`` and ``test.npz`` (``images``, ``labels``, ``groups``), ``classes.json`` (names in
the order of the labels, counts, and the number of each decision) and ``manifest.csv``: one line for each image
of a folder, with its id in the source, and one for each decision about an image.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shearbench.data import idx_files, image_folder, npz_file, torchvision_images
from shearbench.data.collected import Collected
from shearbench.data.config import IdxFiles, ImageFolder, NpzFile, TorchvisionImages
from shearbench.data.dataset import SPLITS, Samples, Split
from shearbench.errors import InputError
from shearbench.records import read_json, read_npz, write_json, write_npz, write_text

Own = ImageFolder | IdxFiles | NpzFile | TorchvisionImages
CLASSES, MANIFEST = "classes.json", "manifest.csv"


def collect(name: str, source: Own, base: Path) -> Collected:
    """Return the images of a source; a relative ``path`` is resolved to ``base``.

    Raises:
        InputError: if images are missing or break a rule; see ``data/collected.py``.
    """
    if isinstance(source, TorchvisionImages):
        return torchvision_images.collect(name, source)
    path = base / Path(source.path).expanduser()
    if isinstance(source, ImageFolder):
        return image_folder.collect(name, source, path)
    if isinstance(source, IdxFiles):
        return idx_files.collect(name, source, path)
    return npz_file.collect(name, source, path)


def write(name: str, source: Own, base: Path, folder: Path, report: Callable[[str], None]) -> None:
    """Write ``data/<source>/``, and report counts and decisions."""
    collected = collect(name, source, base)
    train, test = (collected.parts[split] for split in SPLITS)
    for split, part in collected.parts.items():
        write_npz(folder / f"{split}.npz", {key: getattr(part, key) for key in ("images", "labels", "groups")})
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
    for text, count in collected.counted.items():
        report(f"{name}: {count:,} x {text}")
    if collected.decisions:
        report(f"{name}: data/{name}/manifest.csv names them")


def facts(folder: Path) -> tuple[int, tuple[int, int]] | None:
    """Return the number of classes and the size of the images of ``data/<source>/``; None for IDX files of MNIST."""
    if not (folder / CLASSES).is_file():
        return None
    known = read_json(folder / CLASSES)
    return len(known["classes"]), (known["size"][0], known["size"][1])


def read(folder: Path, first_id: int) -> dict[Split, Samples]:
    """Read ``data/<source>/``; ids count on from ``first_id`` through the training and the test images.

    Raises:
        InputError: if a file is missing or breaks a rule.
    """
    classes = read_json(folder / CLASSES)["classes"]
    found: dict[Split, Samples] = {}
    for split in SPLITS:
        path = folder / f"{split}.npz"
        arrays = read_npz(path)
        missing = {"images", "labels", "groups"} - arrays.keys()
        if missing:
            raise InputError(f"{path} has no {', '.join(sorted(missing))}; make it again with `shearbench data`")
        ids = np.arange(first_id, first_id + len(arrays["labels"]), dtype=np.int64)
        found[split] = Samples(str(path), ids, arrays["images"], arrays["labels"], arrays["groups"], tuple(classes))
        first_id += len(ids)
    return found


def _manifest(collected: Collected) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["place", "part", "item", "class", "decision"])
    first = 0
    for split in SPLITS:
        part = collected.parts[split]
        for row, item in enumerate(part.items or ()):
            writer.writerow([first + row, split, item, collected.classes[part.labels[row]], "taken"])
        first += len(part.labels)
    writer.writerows(("", each.part, each.item, "", each.decision) for each in collected.decisions)
    return text.getvalue()

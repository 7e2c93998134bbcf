"""Build and read the raw data: the folder ``data/``, made atomically from the sources in ``params.yaml``.

``data/<source>/`` holds four uncompressed IDX files in MNIST's layout, and two more if writers are known, or the arrays
of ``own_images.py``. ``data/class_digits/`` holds PNGs named ``digit-group-member.png`` (with ``truth.csv`` for the
stand-in class). The same sources give the same bytes on every machine. They are compared with the hash in ``data.dvc``
before any use.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import numpy as np

from shearbench.data import class_digits, mnist, own_images
from shearbench.data.config import BundledMnist, DownloadedMnist, MnistFolder, Sources
from shearbench.data.dataset import SPLITS, Samples, Split
from shearbench.data.guard import ADOPT, adopted_hash, tree_of, write_adopted
from shearbench.data.idx import GROUPS_FILES, MNIST_FILES, encode, read_groups, read_pair
from shearbench.data.units import UNKNOWN, none_given
from shearbench.errors import InputError

CLASS_DIGITS = "class_digits"


def build(data: Path, sources: Sources, data_dvc: Path, *, adopt: bool, report: Callable[[str], None]) -> None:
    """Make ``data`` from ``sources``; without ``adopt``, its hash must be that in ``data_dvc``.

    A folder with the hash in ``data_dvc`` is left unchanged. A folder with other content is renamed to ``data.old``.
    A relative ``path`` of a source is resolved to the parent folder of ``data``.

    Args:
        adopt: accept any content of the sources, and record its hash in ``data_dvc``.
        report: called with each line for the user.

    Raises:
        InputError: if a source is bad, or the data or its sources are not those recorded in
            ``data_dvc``. ``data`` is then unchanged.
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
    """Read ``data/<source>/``; ids count on from ``first_id`` through the training and the test samples."""
    if (folder / own_images.CLASSES).is_file():
        return own_images.read(folder, first_id)
    samples: dict[Split, Samples] = {}
    for split in SPLITS:
        images, labels = read_pair(*(folder / name for name in MNIST_FILES[split]))
        ids = np.arange(first_id, first_id + len(labels), dtype=np.int64)
        known = folder / GROUPS_FILES[split]
        groups = read_groups(known) if known.is_file() else none_given()
        samples[split] = Samples(str(folder / MNIST_FILES[split][0]), ids, images, labels.astype(np.int64), groups)
        first_id += len(labels)
    return samples


def _write(folder: Path, sources: Sources, base: Path, report: Callable[[str], None]) -> None:
    """Write all files of the raw data into an empty folder."""
    for name, source in sources.images.items():
        (folder / name).mkdir()
        if not isinstance(source, BundledMnist | DownloadedMnist | MnistFolder):
            own_images.write(name, source, base, folder / name, report)
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

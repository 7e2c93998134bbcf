"""A folder of images, one sub-folder per class, as a source: ``collect(name, source, folder)``.

``FOLDER/<class>/**/*.png`` or ``FOLDER/train/<class>/...`` and ``FOLDER/test/<class>/...``. Headers are read
first, so a wrong size or mode, or too many pixels for the memory, is reported before any image is decoded.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from shearbench.data.collected import MODES, Collected, Decision, Raw, check_memory, settle
from shearbench.data.config import ImageFolder
from shearbench.data.dataset import SPLITS, Split
from shearbench.errors import InputError, few
from shearbench.execution.calls import progress_bar

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_FORMATS = ("PNG", "JPEG", "WEBP")
_PARTS = {"train", "test", "training", "testing", "val", "valid", "validation", "dev"}
MAX_PIXELS = 50_000_000  # per file, because a small file can declare gigabytes
_NATIVE = {"1": 1, "L": 1, "I;16": 1, "I;16B": 1, "I": 1, "F": 1, "LA": 2, "La": 2, "RGBA": 4, "RGBa": 4}  # else colour
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


@dataclass(frozen=True)
class _File:
    """An image file: ``name`` is its path in the folder; its header gives ``size`` (height, width) and ``channels``."""

    name: str
    split: Split
    label: str
    size: tuple[int, int] = (0, 0)
    channels: int = 0


def collect(name: str, source: ImageFolder, folder: Path) -> Collected:
    """Return the images of a folder.

    Raises:
        InputError: if there are no images, a class has none, or they differ in size or mode and ``resize`` or
            ``channels`` is not set.
    """
    key = f"sources.{name}"
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; correct {key}.path in params.yaml")
    decisions: list[Decision] = []
    listed = list(image_files(folder, decisions))
    if not listed:
        raise InputError(
            f"{folder} has 0 images: {key} needs one sub-folder per class with PNG, JPEG or WEBP files in it, or "
            f"train/ and test/ with such sub-folders; {_ignored(decisions)}"
        )
    files = with_headers(key, folder, listed, decisions)
    _check_classes(folder, listed, files, decisions)
    channels = source.channels or _agreed_channels(key, files)
    size = source.resize or _agreed_size(key, files)
    check_memory(key, len(files), size, channels)
    decoded = _decoded(folder, files, size, channels, decisions)
    _check_classes(folder, listed, [each for _, part in decoded.values() for each in part], decisions)
    names = [each.name for _, part in decoded.values() for each in part]
    groups = _groups(key, source, folder.parent, names, [each.name for each in listed], decisions)
    classes = sorted({each.label for each in listed})
    parts: dict[Split, Raw] = {}
    for split, (images, own) in decoded.items():
        labels = np.array([classes.index(each.label) for each in own], np.int64)
        groups_of_part = None if groups is None else np.array([groups[each.name] for each in own], np.str_)
        parts[split] = Raw(images, labels, groups_of_part, [each.name for each in own])
    return settle(name, source, parts, classes, decisions)


def image_files(folder: Path, decisions: list[Decision]) -> Iterator[_File]:
    """Yield every image file, sorted by name; append a decision for every other file.

    Raises:
        InputError: if a class or a part would be left out.
    """
    for part in _parts_of(folder):
        split: Split = "test" if part.lower() == "test" else "train"
        taken, passed_over = set[str](), set[str]()
        for place, names in _walk(folder / part):
            for name in names:
                path = "/".join(filter(None, (part, *place, name)))
                if not place:
                    decisions.append(Decision(path, split, "ignored: in no class's folder"))
                elif not name.lower().endswith(SUFFIXES):
                    decisions.append(Decision(path, split, "ignored: not a PNG, JPEG or WEBP file by its name"))
                    passed_over.add(place[0])
                else:
                    taken.add(place[0])
                    yield _File(path, split, place[0])
        if taken and (without := sorted(passed_over - taken)):
            raise InputError(
                f"{folder / part}: {few(without)} has no PNG, JPEG or WEBP file by its name, so the class would "
                "be left out; convert its images or remove the folder"
            )


def _parts_of(folder: Path) -> list[str]:
    """Return the names of the folders of the training and the test part, or ``[""]`` for a folder of classes."""
    below = sorted(path.name for path in folder.iterdir() if path.is_dir() and not _is_of_machines(path.name))
    parts = [name for name in below if name.lower() in SPLITS]
    if "train" in map(str.lower, parts):
        if others := [name for name in below if name not in parts]:
            raise InputError(
                f"{folder} has {few(parts)} and also {few(others)}: beside train/ only test/ may stand, so these "
                "images would be left out; move them into the classes of train/ (those of val/ too: it is "
                "cross-validated), or rename train/ if it is a class"
            )
        return parts
    if below and {name.lower() for name in below} <= _PARTS:
        raise InputError(
            f"{folder} has the folders {few(below)}, which look like parts and not like classes; name them train/ and "
            "test/, or name the folder that has one sub-folder per class"
        )
    return [""]


def _walk(top: Path) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield the path of each folder below ``top``, links followed, with its sorted files; hidden ones are left out."""
    seen = set[str]()
    for directory, folders, names in os.walk(top, onerror=_unlisted, followlinks=True):
        seen.add(os.path.realpath(directory))
        visible = sorted(each for each in folders if not _is_of_machines(each))
        folders[:] = [each for each in visible if os.path.realpath(Path(directory, each)) not in seen]
        yield Path(directory).relative_to(top).parts, sorted(name for name in names if not name.startswith("."))


def _is_of_machines(name: str) -> bool:
    """Return True for folders of editors, archivers and network drives: thumbnails, checkpoints, resource forks."""
    return name.startswith(".") or name.lower() in ("@eadir", "__macosx")


def _unlisted(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename} cannot be listed ({error.strerror}); check its owner and permissions")


def with_headers(key: str, folder: Path, listed: Sequence[_File], decisions: list[Decision]) -> list[_File]:
    """Return the files with size and channels; append a decision for each unreadable header."""
    found = []
    with progress_bar(f"{key}: headers", 0, len(listed)) as show:
        for number, file in enumerate(listed, start=1):
            try:
                with Image.open(folder / file.name, formats=_FORMATS) as image:
                    width, height = image.size
                    if width * height > MAX_PIXELS:
                        raise ValueError(f"{width} x {height} pixels, the most is {MAX_PIXELS:,} in all")
                    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
                    size = (width, height) if turned else (height, width)
                    found.append(replace(file, size=size, channels=_channels(image)))
            except UNREADABLE as error:
                decisions.append(Decision(file.name, file.split, f"rejected: not a readable image ({_reason(error)})"))
            show(number)
    return found


def _channels(image: Image.Image) -> int:
    if image.mode in _NATIVE:
        return _NATIVE[image.mode]
    return 4 if "transparency" in image.info else 3


def _reason(error: Exception) -> str:
    return re.sub(r" '[^']*'| <[^>]*>", "", str(error)).strip() or type(error).__name__


def _agreed_size(key: str, files: Sequence[_File]) -> tuple[int, int]:
    sizes = Counter(file.size for file in files)
    if len(sizes) > 1:
        (height, width), count = sizes.most_common(1)[0]
        least, most = min(sizes), max(sizes)
        raise InputError(
            f"{key} has images of {len(sizes)} sizes, from {least[0]} x {least[1]} to {most[0]} x {most[1]} (height x "
            f"width; most often {height} x {width}, {count:,} of {len(files):,}); set {key}.resize: [{height}, {width}]"
        )
    return next(iter(sizes))


def _agreed_channels(key: str, files: Sequence[_File]) -> int:
    modes = Counter(file.channels for file in files)
    if len(modes) > 1:
        names = {1: "grey", 2: "grey and alpha", 3: "RGB", 4: "RGBA"}
        text = ", ".join(f"{count:,} {names[channels]}" for channels, count in sorted(modes.items()))
        raise InputError(f"{key} has images of {len(modes)} modes ({text}); set {key}.channels to 1 (grey) or 3 (RGB)")
    return next(iter(modes))


def _check_classes(folder: Path, listed: Sequence[_File], files: Sequence[_File], decisions: list[Decision]) -> None:
    empty = sorted({file.label for file in listed} - {file.label for file in files})
    if empty:
        of_class = {file.name for file in listed if file.label == empty[0]}
        first = next(each for each in decisions if each.item in of_class)
        raise InputError(
            f"{folder}: class {empty[0]!r} has no readable image ({first.item}: {first.decision}); mend its "
            "files or remove the folder"
        )


def _decoded(
    folder: Path, files: Sequence[_File], size: tuple[int, int], channels: int, decisions: list[Decision]
) -> dict[Split, tuple[NDArray[np.uint8], list[_File]]]:
    """Decode the files of each part into one array (n, height, width[, channels])."""
    shape = size if channels == 1 else (*size, channels)
    found: dict[Split, tuple[NDArray[np.uint8], list[_File]]] = {}
    done = 0
    with progress_bar(f"{folder.name}: images", 0, len(files)) as show:
        for split in dict.fromkeys(file.split for file in files):
            own = [file for file in files if file.split == split]
            images, decoded = np.empty((len(own), *shape), np.uint8), list[_File]()
            for file in own:
                try:
                    images[len(decoded)] = decode(folder / file.name, size, channels)
                    decoded.append(file)
                except UNREADABLE as error:
                    decisions.append(Decision(file.name, split, f"rejected: cannot be decoded ({_reason(error)})"))
                done += 1
                show(done)
            found[split] = (images[: len(decoded)], decoded)
    return found


def decode(path: Path, size: tuple[int, int], channels: int, formats: tuple[str, ...] = _FORMATS) -> NDArray[np.uint8]:
    """Return one image (height, width[, channels]), rotated by its EXIF data, with transparent parts white.

    `shearbench predict` decodes with this too, so that a network gets the values that it was trained on.
    """
    with Image.open(path, formats=formats) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I") or image.mode == "F":  # 16 bits
            image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))
        if channels in (1, 3) and _channels(image) in (2, 4):
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB")
        image = image.convert(MODES[channels])
        if image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image)


def _groups(
    key: str,
    source: ImageFolder,
    base: Path,
    names: Sequence[str],
    listed: Sequence[str],
    decisions: list[Decision],
) -> dict[str, str] | None:
    """Return the group of each file, "" where none is known, or None without ``groups``."""
    if source.groups is None:
        return None
    if source.groups.lower().endswith(".csv"):
        table = _read_groups(key, Path(source.groups).expanduser(), base)
        if missing := table.keys() - {*listed} - {Path(name).name for name in listed}:
            raise InputError(
                f"{key}.groups: {source.groups} names {len(missing)} files that are not there, as "
                f"{few(sorted(missing))}; give paths in the folder with /, such as CLASS/FILE.png"
            )
        found = {name: table.get(name, table.get(Path(name).name, "")) for name in names}
    else:
        found = _matched(key, source.groups, names)
    if not any(found.values()):
        raise InputError(f"{key}.groups gives no group for any of {len(found):,} images, as {names[0]}; correct it")
    decisions += [Decision(name, "", "kept without a group") for name, group in found.items() if not group]
    return found


def _matched(key: str, pattern: str, names: Sequence[str]) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"{key}.groups must be a CSV file or a regular expression, got {pattern!r} ({error})"
        ) from None
    if compiled.groups != 1:
        raise InputError(f"{key}.groups must have one group in parentheses, as in '_w(\\d+)_'; got {pattern!r}")
    return {name: (match[1] or "") if (match := compiled.search(name)) else "" for name in names}


def _read_groups(key: str, path: Path, base: Path) -> dict[str, str]:
    path = path if path.is_absolute() else base / path
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"file", "group"} <= set(reader.fieldnames or ()):
                raise InputError(f"{path} must have the columns file and group, got {reader.fieldnames}")
            table: dict[str, str] = {}
            for row in reader:
                name, group = (row["file"] or "").strip(), (row["group"] or "").strip()
                if table.setdefault(name, group) != group:
                    raise InputError(
                        f"{path}, line {reader.line_num}: {name} has group {group!r}, but {table[name]!r} in an "
                        "earlier line; give each file once"
                    )
            return table
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{key}.groups: {path} cannot be read as a CSV file ({error})") from None


def _ignored(decisions: Sequence[Decision]) -> str:
    counted = Counter(each.decision for each in decisions)
    return "; ".join(f"{count} {text}" for text, count in counted.items()) or "it is empty"

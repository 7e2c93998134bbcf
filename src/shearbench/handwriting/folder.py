"""A folder of class digits, decoded and prepared: arrays for the networks, and a manifest of all files.

``read_folder`` reads each file once and applies every preparation of ``PREPARATIONS``. The manifest is a CSV with one
row per name in the folder: the preparation steps, or the reason why the file was not read or was rejected.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.handwritten import TRUTH, Entry, Picture, Unreadable, list_folder, read_file
from shearbench.errors import InputError
from shearbench.execution import Workers, run_tasks
from shearbench.handwriting.preparation import PREPARATIONS, Prepared
from shearbench.records import csv_of

THUMBNAIL = 64
_FILES_A_TASK = 500
_FACTS = ("sha256", "format", "mode", "width", "height", "notes")


@dataclass(frozen=True, eq=False)
class Sheet:
    """A name in the folder and its prepared images; ``prepared`` is empty if ``unread`` gives a reason."""

    entry: Entry
    unread: str
    facts: Mapping[str, str | int]
    thumbnail: NDArray[np.uint8] | None  # the unprepared picture, fitted into (64, 64, 3)
    prepared: Mapping[str, Prepared]


@dataclass(frozen=True, eq=False)
class ClassDigits:
    """The digits of a folder: ``sheets`` for all names, and arrays over the n files that were read."""

    name: str
    sheets: Sequence[Sheet]

    @cached_property
    def read(self) -> list[Sheet]:
        return [sheet for sheet in self.sheets if not sheet.unread]

    @property
    def files(self) -> list[str]:
        return [sheet.entry.file for sheet in self.read]

    @property
    def stand_in(self) -> bool:
        """Whether these are the stand-in digits, which include a table of true labels."""
        return any(sheet.entry.file == TRUTH for sheet in self.sheets)

    @cached_property
    def digits(self) -> NDArray[np.int64]:
        """The digit (n,) in the name of each file."""
        return np.array([sheet.entry.digit for sheet in self.read], np.int64)

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """The group (n,) of each file's writer."""
        return np.array([sheet.entry.group for sheet in self.read], np.int64)

    @cached_property
    def writers(self) -> NDArray[np.int64]:
        """The writer (n,) of each file, numbered from 0: each pair of group and member is one writer."""
        pairs = [(sheet.entry.group, sheet.entry.member) for sheet in self.read]
        return np.unique(pairs, axis=0, return_inverse=True)[1].ravel()

    def images(self, preparation: str) -> NDArray[np.uint8]:
        """Return the prepared images (n, 28, 28); black if the preparation found no ink."""
        return np.stack([sheet.prepared[preparation].image for sheet in self.read])

    def accepted(self, preparation: str) -> NDArray[np.bool_]:
        """Return a mask (n,) of the files that a preparation accepts."""
        return np.array([not sheet.prepared[preparation].rejected for sheet in self.read])

    def measured(self, name: str) -> NDArray[np.float64]:
        """Return a number (n,) that ``mnist`` measured on each file; NaN if it found no ink."""
        return np.array([float(sheet.prepared["mnist"].done.get(name, np.nan)) for sheet in self.read])

    @property
    def rejected(self) -> list[dict[str, str]]:
        """Every rejection: ``file``, ``by`` (``reading`` or a preparation) and ``reason``."""
        return [
            {"file": sheet.entry.file, "by": by, "reason": reason}
            for sheet in self.sheets
            for by, reason in [("reading", sheet.unread), *((k, one.rejected) for k, one in sheet.prepared.items())]
            if reason
        ]


@dataclass(frozen=True)
class _Task:
    folder: Path
    entries: tuple[Entry, ...]


def read_folder(folder: Path, *, workers: Workers) -> ClassDigits:
    """Read and prepare every file of a folder.

    Raises:
        InputError: if the folder does not exist or has no readable file; the message lists the reasons.
    """
    entries = list_folder(folder)
    tasks = [
        _Task(folder, tuple(entries[first : first + _FILES_A_TASK])) for first in range(0, len(entries), _FILES_A_TASK)
    ]
    if len(tasks) == 1:  # starting a process would take longer than reading
        done = [_read_some(tasks[0], lambda _: None)]
    else:
        done = run_tasks(
            _read_some,
            tasks,
            workers=workers,
            label=f"read {folder.name}",
            name=lambda task: f"{task.entries[0].file} and after",
            units=lambda task: len(task.entries),
            reads=lambda task: [folder / entry.file for entry in task.entries if not entry.reason],
        )
    found = ClassDigits(folder.resolve().name, [sheet for sheets in done for sheet in sheets])
    if not found.read:
        listed = "\n".join(f"- {sheet.entry.file!r} {sheet.unread}" for sheet in found.sheets[:20])
        more = f"\n- and {len(found.sheets) - 20} more" if len(found.sheets) > 20 else ""
        raise InputError(f"{folder} has no file that can be read:\n{listed}{more}")
    return found


def _read_some(task: _Task, advance: Callable[[int], None]) -> list[Sheet]:
    sheets = []
    for entry in task.entries:
        sheets.append(read_sheet(task.folder, entry))
        advance(1)
    return sheets


def read_sheet(folder: Path, entry: Entry) -> Sheet:
    if entry.reason:
        return Sheet(entry, entry.reason, {}, None, {})
    path = folder / entry.file
    try:
        picture = read_file(path)
    except Unreadable as reason:
        return Sheet(entry, str(reason), {}, None, {})
    digest, notes = hashlib.sha256(path.read_bytes()).hexdigest(), "; ".join(picture.notes)
    values: tuple[str | int, ...] = (digest, picture.format, picture.mode, *picture.original, notes)
    prepared = {name: prepare(picture) for name, prepare in PREPARATIONS.items()}
    return Sheet(entry, "", dict(zip(_FACTS, values, strict=True)), thumbnail_of(picture), prepared)


def thumbnail_of(picture: Picture) -> NDArray[np.uint8]:
    """Return the picture fitted into (64, 64, 3), with grey for transparent pixels."""
    image = Image.fromarray(picture.colour)
    back = Image.new("RGB", image.size, (150, 150, 150))
    image = Image.composite(image, back, Image.fromarray(picture.opacity))
    scale = THUMBNAIL / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    fitted = Image.new("RGB", (THUMBNAIL, THUMBNAIL), (255, 255, 255))
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    fitted.paste(image.resize((width, height), kind), ((THUMBNAIL - width) // 2, (THUMBNAIL - height) // 2))
    return np.asarray(fitted)


def manifest_csv(digits: ClassDigits) -> str:
    """Return the manifest: one row per name, in order, with the facts or rejection of each preparation."""
    done = {
        name: list(dict.fromkeys(key for sheet in digits.read for key in sheet.prepared[name].done))
        for name in PREPARATIONS
    }
    columns = [
        *("file", "status", "reason", "digit", "group", "member"),
        *_FACTS,
        *(f"{name}_{key}" for name, keys in done.items() for key in ("status", "reason", *keys)),
    ]
    rows = map(_row, digits.sheets)
    return csv_of([columns, *([row.get(name, "") for name in columns] for row in rows)])


def _row(sheet: Sheet) -> dict[str, Any]:
    entry = sheet.entry
    row: dict[str, Any] = {"file": entry.file, "status": "rejected" if sheet.unread else "read"}
    row["reason"] = sheet.unread
    if not entry.reason:
        row |= {"digit": entry.digit, "group": entry.group, "member": entry.member}
    for name, prepared in sheet.prepared.items():
        row |= {f"{name}_status": "rejected" if prepared.rejected else "kept", f"{name}_reason": prepared.rejected}
        row |= {f"{name}_{key}": value for key, value in prepared.done.items()}
    return row | dict(sheet.facts)


def output_of(root: Path, folder: Path) -> Path:
    """Return the output folder of a class: its name with a hash of its path, so that equal names do not collide."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", folder.resolve().name).strip(".")[:80] or "folder"
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]
    return root / "build" / "handwriting" / f"{name}-{digest}"

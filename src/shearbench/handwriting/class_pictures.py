"""The pictures of a class: their labels, and the readers' predictions (``predict_pictures``).

Digit, group and member come from a file's name, its folder or a table. All commands use the same rule:
``digit-group-member.png``, such as 7-2-4.png or 7-2-anna.png; 7-anna.png without a group; 7/anna.png or 7/2-anna.png in
a folder named after a digit; or a table with the columns ``file`` and ``digit`` and, if known, ``group`` and
``member``. Pictures without a label are classified too.

Many files are decoded and prepared in several processes. This module does not import torch, so a worker process starts
in half a second. The networks process all images in one call.
"""

import codecs
import csv
import io
import re
import unicodedata
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shearbench.data.handwritten import BOXES, EXPLAINED, MAX_FILES, Unreadable, read_file
from shearbench.errors import InputError, few
from shearbench.execution import run_tasks
from shearbench.handwriting.folder import thumbnail_of
from shearbench.handwriting.preparation import Prepared, mnist
from shearbench.records import sha256_of

if TYPE_CHECKING:
    from shearbench.comparison.champion import Prediction
    from shearbench.handwriting.readers import Readers

RULE = "digit-group-member.png, such as 7-2-4.png or 7-2-anna.png; or 7-anna.png; or 7/anna.png; or --labels labels.csv"
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
REFUSED = (".heic", ".heif", ".avif", ".gif", ".pdf")
"""What may hold digits and is not read: each is listed with the reason."""
_WHOLE = re.compile(r"([0-9])-([^-]{1,40})-(.{1,80})", re.ASCII)
_SHORT = re.compile(r"([0-9])-(.{1,80})", re.ASCII)
_IN_FOLDER = re.compile(r"([^-]{1,40})-(.{1,80})")
_FILES_A_TASK = 60


@dataclass(frozen=True)
class Named:
    """A file and its label: ``digit`` is None without one; ``group`` and ``member`` are empty if unknown."""

    path: Path
    shown: str
    digit: int | None = None
    group: str = ""
    member: str = ""
    fault: str = ""  # why the file must not be opened
    folder_digit: int | None = None  # of the folder, if the name has a digit too


def named(paths: Sequence[Path], labels: Path | None = None) -> list[Named]:
    """Return the pictures among files and folders, in order; the search includes sub-folders.

    Raises:
        InputError: if a path does not exist, there are no pictures or too many, or the table has an error.
    """
    found = [one for path in paths for one in _at(path)]
    names = Counter(one.shown for one in found)
    found = [replace(one, shown=one.path.as_posix()) if names[one.shown] > 1 else one for one in found]
    if labels is not None:
        found = _labelled(found, labels)
    elif wrong := [one for one in found if one.folder_digit not in (None, one.digit)]:
        raise InputError(
            f"{wrong[0].path}: the folder means digit {wrong[0].folder_digit}, the name digit {wrong[0].digit}; a "
            f"folder named by one digit holds that digit, so rename it, or use --labels"
        )
    if not found:
        raise InputError(
            f"{', '.join(map(str, paths))} has no picture ({', '.join(SUFFIXES)}); name a folder or files with digits"
        )
    if len(found) > MAX_FILES:
        raise InputError(f"there are {len(found)} pictures, the most is {MAX_FILES}; read them in parts")
    return [replace(one, group=_plain(one.group), member=_plain(one.member)) for one in found]


def misnamed(files: Sequence[Named]) -> list[str]:
    """Return the files without a label if others have one: their names are probably wrong."""
    return [one.shown for one in files if one.digit is None] if any(one.digit is not None for one in files) else []


def _at(path: Path) -> Iterator[Named]:
    if not path.exists():
        raise InputError(f"{path} does not exist; name a folder or files with digits")
    if path.is_dir():
        for file, fault in pictures_in(path):
            yield replace(_by_name(file, file.relative_to(path)), fault=fault)
    else:
        yield _by_name(path, Path(path.name))


def pictures_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the pictures of a folder and its sub-folders in order, each with the reason why it must not be opened.

    Hidden files, folders and shearbench's own output are left out.
    """
    root = folder.resolve()
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if hidden or file.suffix.lower() not in (*SUFFIXES, *REFUSED) or file.name.endswith((EXPLAINED, BOXES)):
            continue
        if file.is_file():
            yield file, "" if root in file.resolve().parents else "is a symbolic link out of the folder"
        elif file.is_symlink():
            yield file, "is a symbolic link " + ("out of the folder" if file.exists() else "to no file")


def _by_name(path: Path, shown: Path) -> Named:
    stem, name = path.stem, shown.as_posix()
    whole = _WHOLE.fullmatch(stem)
    if len(shown.parts) > 1 and re.fullmatch("[0-9]", shown.parts[-2], re.ASCII):
        digit = int(shown.parts[-2])
        if whole:  # digit-group-member, sorted into folders
            return Named(path, name, int(whole[1]), whole[2], whole[3], folder_digit=digit)
        found = _IN_FOLDER.fullmatch(stem)
        return Named(path, name, digit, found[1], found[2]) if found else Named(path, name, digit, "", stem)
    if whole:
        return Named(path, name, int(whole[1]), whole[2], whole[3])
    if found := _SHORT.fullmatch(stem):
        return Named(path, name, int(found[1]), "", found[2])
    return Named(path, name)


def _labelled(files: Sequence[Named], table: Path) -> list[Named]:
    """Return files with the labels of a table; files that are not in it have none."""
    whole, base = dict[str, list[int]](), dict[str, list[int]]()
    for place, one in enumerate(files):
        whole.setdefault(_key(one.shown), []).append(place)
        base.setdefault(_key(one.path.name), []).append(place)
    places, labels, missing = base | whole, dict[int, tuple[int | None, str, str]](), list[str]()
    for line, row in _rows_of(table):
        digit, name = row.get("digit", ""), _key(row.get("file", ""))
        if not re.fullmatch("[0-9]", digit, re.ASCII):
            raise InputError(f"--labels {table}, line {line}: digit must be 0 to 9, got {digit!r}")
        label, found = (int(digit), row.get("group", ""), row.get("member", "")), places.get(name, [])
        if len(found) > 1:
            example = files[found[0]].shown
            rule = f"{len(found)} files are named {name}; write their folders too, as in {example}"
            raise InputError(f"--labels {table}, line {line}: {rule}")
        missing += [] if found else [name]
        if found and labels.setdefault(found[0], label) != label:
            raise InputError(f"--labels {table}, line {line}: {name} has another label in an earlier line")
    if missing:
        rule = f"names {len(missing)} files that are not there: {few(missing)}; write them as {files[0].shown}"
        raise InputError(f"--labels {table} {rule}")
    return [_labelled_as(one, *labels.get(place, (None, "", ""))) for place, one in enumerate(files)]


def _labelled_as(file: Named, digit: int | None, group: str, member: str) -> Named:
    return replace(file, digit=digit, group=group, member=member)


def _rows_of(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Return each row of a table of labels with the number of its line; rows without any text are left out.

    Excel's tables are read: separated by commas, semicolons or tabs, in UTF-8 or UTF-16.
    """
    try:
        content = table.read_bytes()
        utf16 = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except OSError as error:
        raise InputError(f"--labels {table} cannot be read ({error.strerror}); it must be a CSV file") from None
    except UnicodeDecodeError:
        rule = "must be a CSV file in UTF-8; in Excel choose Save as, CSV UTF-8"
        raise InputError(f"--labels {table} {rule}") from None
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max("\t;,", key=head.count))
    try:
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise InputError(
            f"--labels {table}, line {reader.line_num}: is no CSV ({error}); look for a lone quote"
        ) from None
    (_, names), *others = lines or [(0, [])]
    columns = [name.lower() for name in names]
    if not others or not {"file", "digit"} <= {*columns}:
        has = f"it has {', '.join(names)}" if names else "it is empty"
        rule = "must have the columns file and digit, and may have group and member"
        raise InputError(f"--labels {table} {rule}; {has}, and {len(others)} rows")
    return [(line, dict(zip(columns, row, strict=False))) for line, row in others if any(row)]


def _plain(name: str) -> str:
    """Return a group or member as one text, however it is written: 01 is 1."""
    return str(int(name)) if name.isdecimal() else _key(name.strip())


def _key(name: str) -> str:
    """Return a file name in the composed form of Unicode; macOS stores names decomposed."""
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True, eq=False)
class ClassPicture:
    """A file, decoded and prepared, with its prediction: calibrated ``probabilities`` (10,).

    ``unread`` is the reason why a file has no prediction, empty if it has one.
    """

    file: Named
    unread: str
    prepared: Prepared | None = None
    thumbnail: NDArray[np.uint8] | None = None
    digest: str = ""
    tiles: tuple[str, str] = ("", "")  # thumbnail and prepared image as data URIs of PNGs
    predicted: "Prediction | None" = None
    probabilities: NDArray[np.float64] | None = None

    @property
    def digit(self) -> int | None:
        """The predicted digit; None if the readers are not sure or nothing was predicted."""
        sure = self.predicted is not None and self.predicted.answered and not self.doubt
        return self.predicted.label if self.predicted is not None and sure else None

    @property
    def doubt(self) -> str:
        """The reason to doubt that the picture shows one digit; empty without one."""
        return self.prepared.doubt if self.prepared is not None else ""

    @property
    def is_wrong(self) -> bool:
        return self.digit is not None and self.file.digit is not None and self.digit != self.file.digit

    def as_json(self) -> dict[str, Any]:
        file = self.file
        known = {"digit": file.digit, "group": file.group, "member": file.member} if file.digit is not None else {}
        row: dict[str, Any] = {"file": str(file.path), **known}
        if self.predicted is None or self.probabilities is None or self.prepared is None:
            return row | {"unread": self.unread}
        return row | prediction_json(self.predicted, self.probabilities, self.prepared)


def prediction_json(
    predicted: "Prediction",
    probabilities: NDArray[np.float64],
    prepared: Prepared,
    *,
    name: Callable[[int], int | str] = int,
) -> dict[str, Any]:
    """Return a prediction, ready for JSON; ``class`` is None if it is not sure. ``name`` gives the name of a class."""
    best = name(predicted.label)
    return {
        "class": best if predicted.answered and not prepared.doubt else None,
        "best": best,
        "confidence": predicted.confidence,
        "runner_up": name(predicted.runner_up),
        "runner_up_confidence": predicted.runner_up_confidence,
        "doubt": prepared.doubt,
        "probabilities": probabilities.tolist(),
        "prepared": dict(prepared.done),
    }


def predict_pictures(files: Sequence[Named], readers: "Readers") -> list[ClassPicture]:
    """Return a prediction for every file, in order; more than 60 files are prepared in several processes."""
    shares = [tuple(files[first : first + _FILES_A_TASK]) for first in range(0, len(files), _FILES_A_TASK)]
    if len(shares) == 1:
        done = [[_prepared(file) for file in files]]
    else:
        done = run_tasks(
            _prepare_some,
            shares,
            workers="auto",
            label="prepare pictures",
            name=lambda share: f"{share[0].shown} and after",
            units=len,
            reads=lambda share: [file.path for file in share],
        )
    pictures = [picture for some in done for picture in some]
    images = [each.prepared.image for each in pictures if each.prepared is not None and not each.unread]
    predicted = iter(readers.predict(np.stack(images)) if images else ())
    for place, picture in enumerate(pictures):
        if not picture.unread:
            best, probabilities = next(predicted)
            pictures[place] = replace(picture, predicted=best, probabilities=probabilities)
    return pictures


def _prepare_some(files: Sequence[Named], advance: Callable[[int], None]) -> list[ClassPicture]:
    pictures = [_prepared(file) for file in files]
    advance(len(files))
    return pictures


def _prepared(file: Named) -> ClassPicture:
    if file.fault:
        return ClassPicture(file, file.fault)
    try:
        picture = read_file(file.path)
        digest = sha256_of(file.path)
    except Unreadable as error:
        return ClassPicture(file, str(error))
    except OSError as error:
        return ClassPicture(file, f"cannot be opened ({error.strerror})")
    prepared, thumbnail = mnist(picture), thumbnail_of(picture)
    tiles = data_uri(thumbnail), data_uri(prepared.image)
    return ClassPicture(file, prepared.rejected, prepared, thumbnail, digest, tiles)


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return a picture as the data URI of a PNG, for use inside a page."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=3)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()

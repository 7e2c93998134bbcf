"""Labels of pictures: digit, group and member, from a file's name, its folder or a table.

All commands use the same rule: ``digit-group-member.png``, such as 7-2-4.png or 7-2-anna.png; 7-anna.png without a
group; 7/anna.png or 7/2-anna.png in a folder named after a digit; or a table with the columns ``file`` and ``digit``
and, if known, ``group`` and ``member``. Pictures without a label are classified too.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shearbench.data.handwritten import EXPLAINED, TRUTH
from shearbench.errors import InputError

RULE = "digit-group-member.png, such as 7-2-4.png or 7-2-anna.png; or 7-anna.png; or 7/anna.png; or --labels labels.csv"
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff")
REFUSED = (".heic", ".heif", ".avif", ".gif", ".pdf")
"""What may hold digits and is not read: each is listed with the reason."""
MAX_FILES = 20_000
_LITTER = {"thumbs.db", "desktop.ini", TRUTH}
_WHOLE = re.compile(r"([0-9])-([^-]{1,40})-(.{1,80})", re.ASCII)
_SHORT = re.compile(r"([0-9])-(.{1,80})", re.ASCII)
_IN_FOLDER = re.compile(r"([^-]{1,40})-(.{1,80})")


@dataclass(frozen=True)
class Named:
    """A file and its label: ``digit`` is None without one; ``group`` and ``member`` are empty if unknown."""

    path: Path
    shown: str
    digit: int | None = None
    group: str = ""
    member: str = ""


def named(paths: Sequence[Path], labels: Path | None = None) -> list[Named]:
    """Return the pictures among files and folders, in order; the search includes sub-folders.

    Raises:
        InputError: if a path does not exist, there are no pictures or too many, or the table has an error.
    """
    found = [one for path in paths for one in _at(path)]
    if labels is not None:
        found = _labelled(found, labels)
    if not found:
        raise InputError(
            f"{', '.join(map(str, paths))} has no picture ({', '.join(SUFFIXES)}); name a folder or files with digits"
        )
    if len(found) > MAX_FILES:
        raise InputError(f"there are {len(found)} pictures, the most is {MAX_FILES}; read them in parts")
    return found


def misnamed(files: Sequence[Named]) -> list[str]:
    """Return the files without a label if others have one: their names are probably wrong."""
    return [one.shown for one in files if one.digit is None] if any(one.digit is not None for one in files) else []


def _at(path: Path) -> Iterator[Named]:
    if not path.exists():
        raise InputError(f"{path} does not exist; name a folder or files with digits")
    if path.is_dir():
        for file in pictures_in(path):
            yield _by_name(file, file.relative_to(path))
    else:
        yield _by_name(path, Path(path.name))


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yield the pictures of a folder and its sub-folders in order, except hidden files and shearbench's own output."""
    root = folder.resolve()
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if not hidden and file.suffix.lower() in (*SUFFIXES, *REFUSED) and _inside(file, root):
            yield file


def _inside(file: Path, root: Path) -> bool:
    """Return True if a file is a picture inside the folder; links to files outside do not count."""
    skipped = file.name.endswith(EXPLAINED) or file.name.lower() in _LITTER
    return not skipped and file.is_file() and root in file.resolve().parents


def _by_name(path: Path, shown: Path) -> Named:
    stem, name = path.stem, shown.as_posix()
    if len(shown.parts) > 1 and re.fullmatch("[0-9]", shown.parts[-2], re.ASCII):
        digit = int(shown.parts[-2])
        found = _IN_FOLDER.fullmatch(stem)
        return Named(path, name, digit, *found.groups()) if found else Named(path, name, digit, "", stem)
    if found := _WHOLE.fullmatch(stem):
        return Named(path, name, int(found[1]), found[2], found[3])
    if found := _SHORT.fullmatch(stem):
        return Named(path, name, int(found[1]), "", found[2])
    return Named(path, name)


def _labelled(files: Sequence[Named], table: Path) -> list[Named]:
    """Return files with the labels of a table; files that are not in it have none."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as opened:
            text = opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--labels {table} cannot be read ({error}); it must be a CSV file in UTF-8") from None
    separator = ";" if text.partition("\n")[0].count(";") else ","
    rows = list(csv.DictReader(text.splitlines(), delimiter=separator))
    if not rows or not {"file", "digit"} <= set(rows[0]):
        raise InputError(f"--labels {table} must have the columns file and digit, and may have group and member")
    known: dict[str, tuple[int | None, str, str]] = {}
    for number, row in enumerate(rows, start=2):
        digit = (row["digit"] or "").strip()
        if not re.fullmatch("[0-9]", digit, re.ASCII):
            raise InputError(f"--labels {table}, line {number}: digit must be 0 to 9, got {digit!r}")
        known[(row["file"] or "").strip()] = int(digit), row.get("group") or "", row.get("member") or ""
    missing = known.keys() - {one.shown for one in files} - {one.path.name for one in files}
    if missing:
        raise InputError(f"--labels {table} names {len(missing)} files that are not there: {sorted(missing)[:5]}")
    labels = [known.get(one.shown) or known.get(one.path.name) or (None, "", "") for one in files]
    return [Named(one.path, one.shown, *label) for one, label in zip(files, labels, strict=True)]

"""Read a folder of handwritten digits, file by file, with a reason for each file that cannot be used.

``list_folder`` checks names only; ``read_file`` decodes one file. No file stops the reading of a folder: an unusable
file is an :class:`Entry` with a reason. A picture has one of ``FORMATS``, whatever its suffix, in any mode of that
format. The size in bytes and pixels is checked before decoding. Links are followed only to files of the same folder.
Of an animation, the first frame is used.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from shearbench.errors import InputError

SIDE, CLASSES = 28, 10  # of MNIST, the input of the readers
TRUTH = "truth.csv"
"""The table of the images of the stand-in class."""
NAME = re.compile(r"([0-9])-([0-9]{1,4})-([0-9]{1,4})\.(?:png|jpe?g)", re.ASCII | re.IGNORECASE)
EXPLAINED = ".gradcam.png"
"""Suffix of the pictures that ``shearbench predict --explain`` writes beside the drawings."""
BOXES = ".boxes.png"
"""Suffix of the pictures with boxes that ``shearbench predict --many`` writes beside a sheet."""
RULE = "must be named digit-group-member.png (digit 0 to 9, then two whole numbers), such as 7-2-4.png"
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MAX_BYTES = 64_000_000
MAX_PIXELS = 25_000_000  # with all copies, a picture takes less than 300 MB of memory
MAX_JPEG_PIXELS = 70_000_000  # a JPEG is decoded at a fraction of its size
REDUCED_FROM = 4_000_000  # pixels; a picture with more is made smaller as early as its format allows
MAX_SIDE = 20_000  # pixels; shrinking a longer side needs a table as large as a picture
MAX_FILES = 20_000
LEAST_SIDE = 4  # pixels; nothing smaller can hold a digit
WORKING_SIDE = 200  # pixels of the longest side after a large picture is shrunk
LITTER = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized")
_ORIENTATION = 0x0112
_HAS_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True)
class Entry:
    """A name in the folder: digit and writer (``member`` of ``group``), or the ``reason`` why it cannot be used."""

    file: str
    digit: int = -1
    group: int = -1
    member: int = -1
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded file: colours uint8 (h, w, 3), opacity uint8 (h, w), and the properties of the file.

    ``original`` is the (width, height) in the file. ``grey`` is the input of the published study: the luminance at
    28 x 28, with opacity ignored.
    """

    colour: NDArray[np.uint8]
    opacity: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    format: str
    mode: str
    original: tuple[int, int]
    notes: tuple[str, ...] = ()


class Unreadable(Exception):
    """Raised for a file that cannot be used as a picture; the message is the reason."""


def list_folder(folder: Path) -> list[Entry]:
    """Return an entry for every name in the folder, sorted, except pictures of ``predict --explain``.

    Raises:
        InputError: if the folder does not exist, cannot be listed, is empty or has more than ``MAX_FILES`` names.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; name one with files such as 7-2-4.png (digit-group-member)")
    own = (EXPLAINED, BOXES)
    paths = sorted((path for path in folder.iterdir() if not path.name.endswith(own)), key=lambda path: path.name)
    if not paths:
        raise InputError(f"{folder} is empty; put files such as 7-2-4.png (digit-group-member) into it")
    if len(paths) > MAX_FILES:
        raise InputError(f"{folder} has {len(paths)} names, the most is {MAX_FILES}; split it")
    return [_entry(path, folder.resolve()) for path in paths]


def is_litter(name: str) -> bool:
    """Return True for files that file managers and archivers create."""
    return name.startswith("._") or name.lower() in LITTER


def _entry(path: Path, folder: Path) -> Entry:
    reason = _not_a_file(path, folder)
    if reason:
        return Entry(path.name, reason=reason)
    found = NAME.fullmatch(path.name)
    if found is None:
        return Entry(path.name, reason=RULE)
    digit, group, member = map(int, found.groups())
    return Entry(path.name, digit, group, member)


def _not_a_file(path: Path, folder: Path) -> str:
    """Return why a path is not a file of the folder, or "". Checked before opening, because a pipe would block."""
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return "is a symbolic link that leads nowhere"
        if folder not in target.parents:
            return "is a symbolic link out of the folder"
    if path.is_dir():
        return "is a folder; files in it are not read"
    return "" if path.is_file() else "is not a plain file"


def fault_in(folder: Path, entry: Entry) -> str:
    """Decode the file of an entry; return why it cannot be read, or ""."""
    try:
        if not entry.reason:
            read_file(folder / entry.file)
    except Unreadable as reason:
        return str(reason)
    return entry.reason


def read_file(path: Path, *, side: int = WORKING_SIDE) -> Picture:
    """Decode one file and shrink it so that its longest side has at most ``side`` pixels.

    Raises:
        Unreadable: if it is not of ``FORMATS``, cannot be decoded, or is too large or too small; with the reason.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Unreadable(f"has {size} bytes, the most is {MAX_BYTES}")
    if size == 0:
        raise Unreadable("has 0 bytes")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with Image.open(path, formats=FORMATS) as image:
                _check_size(image)
                picture = _decode(image, side)
        except UnidentifiedImageError:
            raise Unreadable(_unknown(path)) from None
        except Image.DecompressionBombError:
            raise Unreadable(f"has far more pixels than {MAX_PIXELS:,}, the most in all") from None
        except Unreadable:
            raise
        except Exception as error:  # noqa: BLE001  (of a damaged file Pillow raises errors of many types)
            raise Unreadable(f"cannot be decoded ({_one_line(error)})") from None
    notes = (*picture.notes, *dict.fromkeys(_one_line(warning.message) for warning in caught))
    return Picture(**{**vars(picture), "notes": notes})


def _unknown(path: Path) -> str:
    """Return why a file of unknown type is not read; for HEIC, with the command that converts it."""
    with path.open("rb") as file:
        start = file.read(32)
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif"):
        return "is a HEIC or AVIF picture, which is not read here: export it as JPEG, as in `magick a.heic a.jpg`"
    if start[:4] == b"PK\x03\x04":
        return "is a ZIP archive: unpack it and name the folder"
    return f"is neither a PNG nor a JPEG, nor a {', '.join(FORMATS[2:-1])} or {FORMATS[-1]}"


def _one_line(message: object) -> str:
    return " ".join(str(message).split())[:200]


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    most = MAX_JPEG_PIXELS if image.format in ("JPEG", "MPO") else MAX_PIXELS
    if width * height > most:
        raise Unreadable(
            f"is {width} x {height} pixels, the most is {most:,} in all; make it smaller, as in "
            "`magick a.png -resize 25% b.png`"
        )
    if max(width, height) > MAX_SIDE:
        raise Unreadable(f"is {width} x {height} pixels, the longest side that is read has {MAX_SIDE:,}")
    if min(width, height) < LEAST_SIDE:
        raise Unreadable(f"is {width} x {height} pixels, too small to hold a digit")


def _decode(image: Image.Image, working: int) -> Picture:
    """Decode, rotate by the EXIF orientation, and shrink large pictures."""
    notes = []
    if getattr(image, "is_animated", False):  # counting the pages of a TIFF would take hours for a hostile one
        notes.append("first of several frames")
    size, mode, kind = image.size, image.mode, str(image.format)
    turned = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    image = _loaded(image, working)
    ImageOps.exif_transpose(image, in_place=True)
    if turned:
        notes.append("turned as its EXIF data says")
    opaque, opacity = _layers(image)
    grey = np.asarray(opaque.convert("L").resize((SIDE, SIDE)))  # as in the published study
    side = max(size)
    if side > working:
        width, height = (max(1, round(length * working / max(image.size))) for length in image.size)
        opaque, opacity = (layer.resize((width, height), Image.Resampling.BOX) for layer in (opaque, opacity))
        notes.append(f"made smaller, to {width} x {height}")
    return Picture(np.asarray(opaque), np.asarray(opacity), grey, kind, mode, size, tuple(notes))


def _loaded(image: Image.Image, working: int) -> Image.Image:
    """Decode a picture, a large one at a fraction of its size, so that later copies are small."""
    if image.size[0] * image.size[1] <= REDUCED_FROM:
        image.load()
        return image
    exif = image.getexif()
    image.draft(None, (2 * working, 2 * working))  # supported by the JPEG decoder, ignored by others
    image.load()
    factor = max(image.size) // (2 * working)
    if factor > 1 and image.mode in ("L", "RGB", "RGBA", "LA", "CMYK", "YCbCr"):
        image = image.reduce(factor)
    image.info["exif"] = exif.tobytes()
    return image


def _layers(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return the colours (RGB), with opacity ignored, and the opacity (L)."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode in _HAS_ALPHA or "transparency" in image.info:
        whole = image if image.mode == "RGBA" else image.convert("RGBA")
        return whole.convert("RGB"), whole.getchannel("A")
    return image.convert("RGB"), Image.new("L", image.size, 255)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Rescale a picture of more than 8 bits to 8; Pillow would clip values above 255.

    The bit depth (8, 10, 12, 14 or 16) is inferred from the largest value, whatever the type of the file.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise ValueError("some values are not finite")
    bits = next((bits for bits in (8, 10, 12, 14, 16) if values.max() < 2**bits), 16)
    scale = (2**bits - 1) / 255
    eight = np.empty(values.shape, np.uint8)
    for row, line in enumerate(values):  # line by line, because the whole picture in float64 would take 128 MB
        eight[row] = np.clip(np.round(line / scale), 0, 255)
    return Image.fromarray(eight)

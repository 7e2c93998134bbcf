"""Digits of a class, as ``digit-group-member.png``: the stand-in class, or a folder of the user.

The stand-in is not a class: it is scikit-learn's ``load_digits`` (real handwriting, 8x8) drawn at 28x28 in
ten styles, one per group, white on black like MNIST. It contains a few almost black images and two groups
that copied digits from MNIST; ``truth.csv`` lists them. All drawing is integer arithmetic, so every
machine draws the same bytes.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, maximum_filter

from shearbench.data.config import BundledMnist, ClassFolder, StandInClass
from shearbench.data.handwritten import CLASSES, SIDE, TRUTH, fault_in, is_litter, list_folder
from shearbench.data.mnist import Part
from shearbench.data.mnist import collect as collect_mnist
from shearbench.errors import InputError

Image = NDArray[np.uint8]
Key = tuple[int, int, int]  # digit, group and member

TRUTH_COLUMNS = ("file", "digit", "group", "member", "style", "planted", "source")
MEMBERS = 4
_STORED_BLOCK = 65_535  # bytes that one block of a PNG file can hold


@dataclass(frozen=True)
class Style:
    """The drawing style of a group: all lengths in pixels of the 28x28 image."""

    name: str
    size: int = 20  # side of the square that the 8x8 original fills
    slant: int = 0  # sixteenths of a pixel to the right for each pixel up
    offset: tuple[int, int] = (0, 0)  # right and down
    threshold: int = 70  # grey value below which ink is dropped; a higher one leaves thinner strokes
    grow: int = 0  # pixels that are added around every stroke
    ink: int = 255  # grey value of full ink
    paper: int = 0  # grey value of the background, textured if it is not black
    copies: int = 0  # number of members, counted from the first, who copied from MNIST
    moved: tuple[int, int] = (0, 0)  # shift of a copy to the right and down, which disguises it


STYLES = (
    Style("plain"),
    Style("thick", grow=1, threshold=40),
    Style("thin", threshold=125),
    Style("copied", copies=MEMBERS),
    Style("slanted", slant=7),
    Style("small", size=12),
    Style("faint", ink=70),
    Style("off-centre", size=16, offset=(6, -5)),
    Style("partly copied", copies=MEMBERS // 2, moved=(1, 1)),
    Style("grey background", paper=90),
)
ALMOST_BLACK = frozenset({(2, 1, 3), (7, 3, 1), (4, 5, 2), (0, 7, 4), (9, 8, 1), (5, 10, 2)})
"""Digit, group and member of the almost black images."""


@dataclass(frozen=True)
class Drawing:
    """One image of the stand-in class with its row of ``truth.csv``."""

    digit: int
    group: int
    member: int
    image: Image
    planted: str  # ``none``, ``almost_black`` or ``mnist_copy``
    source: str

    @property
    def file(self) -> str:
        return f"{self.digit}-{self.group}-{self.member}.png"


def collect(source: StandInClass | ClassFolder, base: Path) -> dict[str, bytes]:
    """Return the files of ``data/class_digits``: name -> content; a relative ``path`` is resolved to ``base``.

    Raises:
        InputError: if files of the user's folder cannot be decoded or break the naming rule; the message lists them.
    """
    if isinstance(source, ClassFolder):
        return _from_folder(base / Path(source.path).expanduser())
    drawings = list(draw_class())
    files = {drawing.file: encode_png(drawing.image) for drawing in drawings}
    return {**files, TRUTH: _truth(drawings).encode()}


def draw_class() -> Iterator[Drawing]:
    """Draw the stand-in class, group by group: 10 groups of 4 members with 10 digits each."""
    from sklearn.datasets import load_digits  # slow to import, and needed only here

    originals = load_digits()
    handwriting = originals.images.astype(np.int64), originals.target
    mnist = collect_mnist(BundledMnist(kind="bundled"), Path())["train"]
    for group, style in enumerate(STYLES, start=1):
        for member in range(1, MEMBERS + 1):
            for digit in range(CLASSES):
                nth = (group - 1) * MEMBERS + member - 1  # each original is used once
                key = (digit, group, member)
                yield _copy(mnist, style, key, nth) if member <= style.copies else _draw(handwriting, style, key, nth)


def render(original: NDArray[np.int64], style: Style, jitter: tuple[int, int, int]) -> Image:
    """Draw an 8x8 original, int64 0 to 16, at 28x28 in a style; ``jitter`` is added to its slant and its offset."""
    slant, right, down = jitter
    grey = _enlarge(original, style.size, style.slant + slant, (style.offset[0] + right, style.offset[1] + down))
    ink = np.clip((grey - style.threshold) * 2, 0, 255)
    for _ in range(style.grow):  # the maximum over each pixel and its four neighbours
        ink = maximum_filter(ink, footprint=generate_binary_structure(2, 1), mode="constant")
    return (style.paper + ink * (style.ink - style.paper) // 255).astype(np.uint8)


def _enlarge(original: NDArray[np.int64], size: int, slant: int, offset: tuple[int, int]) -> NDArray[np.int64]:
    """Sample an original bilinearly at the 28x28 pixel centres; return grey values 0 to 255, int64.

    Coordinates are integers in 1/256 of a pixel of the original. ``2 c - 27`` is twice the signed distance of
    column c from the centre of the image, which lies at 3.5 (896/256) in the original.
    """
    row, column = np.mgrid[0:SIDE, 0:SIDE].astype(np.int64)
    down, right = 2 * row - (SIDE - 1) - 2 * offset[1], 2 * column - (SIDE - 1) - 2 * offset[0]
    y = (down * 8 * 128) // size + 896
    x = ((16 * right + slant * down) * 8 * 8) // size + 896
    padded = np.pad(original, 2)
    y, x = np.clip(y + 512, 0, 11 * 256 - 1), np.clip(x + 512, 0, 11 * 256 - 1)
    i, j, v, u = y >> 8, x >> 8, y & 255, x & 255
    above = padded[i, j] * (256 - u) + padded[i, j + 1] * u
    below = padded[i + 1, j] * (256 - u) + padded[i + 1, j + 1] * u
    grey: NDArray[np.int64] = (above * (256 - v) + below * v) * 255 // (16 * 65536)
    return grey


def _draw(handwriting: tuple[NDArray[np.int64], Image], style: Style, key: Key, nth: int) -> Drawing:
    originals, labels = handwriting
    index = int(np.flatnonzero(labels == key[0])[nth])
    # Bytes that depend on the name alone; random streams of a library may differ between versions.
    name = "-".join(map(str, key))
    bits = hashlib.shake_128(f"shearbench/class_digits/1/{name}".encode()).digest(3 + SIDE * SIDE)
    image = render(originals[index], style, (bits[0] % 5 - 2, bits[1] % 3 - 1, bits[2] % 3 - 1))
    if style.paper:  # grain and a shadow that grows to the right, as on a photograph of paper
        grain = np.frombuffer(bits[3:], np.uint8).reshape(SIDE, SIDE) >> 5
        image = np.clip(image.astype(np.int64) + grain - np.arange(SIDE), 0, 255).astype(np.uint8)
    dark = key in ALMOST_BLACK
    if dark:
        image = image // 32
    return Drawing(*key, image, "almost_black" if dark else "none", f"load_digits {index}")


def _copy(mnist: Part, style: Style, key: Key, nth: int) -> Drawing:
    images, labels, _ = mnist
    index = int(np.flatnonzero(labels == key[0])[nth])
    right, down = style.moved
    image = np.zeros_like(images[index])
    image[down:, right:] = images[index][: SIDE - down, : SIDE - right]
    return Drawing(*key, image, "mnist_copy", f"mnist bundled train {index}")


def _truth(drawings: list[Drawing]) -> str:
    rows = [(d.file, d.digit, d.group, d.member, STYLES[d.group - 1].name, d.planted, d.source) for d in drawings]
    return "".join(f"{','.join(map(str, row))}\n" for row in (TRUTH_COLUMNS, *rows))


def encode_png(image: Image) -> bytes:
    """Return the PNG file of a small 8-bit greyscale image, with the same bytes on every machine.

    Pixels are stored without compression, because compressed bytes depend on the version of zlib. The file has one
    block, so rows * (columns + 1) is at most 65,535. Format: the PNG specification (ISO/IEC 15948), RFC 1950 and 1951.
    """
    rows, columns = image.shape
    raw = np.pad(image, ((0, 0), (1, 0))).tobytes()  # filter type 0 before each row
    assert image.dtype == np.uint8, image.dtype
    assert len(raw) <= _STORED_BLOCK, image.shape
    block = b"\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(raw))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _from_folder(folder: Path) -> dict[str, bytes]:
    """Read the user's files; skip hidden files, files of file managers and Grad-CAM pictures of shearbench."""
    key = "sources.class_digits.path of params.yaml"
    try:
        listed = list_folder(folder)
    except InputError as error:
        raise InputError(f"{key}: {error}") from None
    entries = [one for one in listed if not one.file.startswith(".") and not is_litter(one.file)]
    if not entries:
        raise InputError(f"{key}: {folder} has no file; put digits into it")
    faults = {one.file: fault for one in entries if (fault := fault_in(folder, one))}
    if faults:
        shown = "\n".join(f"- {name!r} {fault}" for name, fault in faults.items())
        raise InputError(f"{folder} has {len(faults)} of {len(entries)} files to mend or remove:\n{shown}")
    return {one.file: (folder / one.file).read_bytes() for one in entries}

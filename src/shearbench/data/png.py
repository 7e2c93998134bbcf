"""Encode small PNG files with the same bytes on every machine.

The encoder stores pixels without compression, so the bytes do not depend on the version of zlib.
Format: the PNG specification (ISO/IEC 15948), chunks IHDR, IDAT and IEND; stored blocks: RFC 1950 and 1951.
"""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STORED_BLOCK = 65_535  # bytes that one block can hold


def encode(image: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of a small 8-bit greyscale image: rows * (columns + 1) is at most 65,535."""
    rows, columns = image.shape
    raw = np.pad(image, ((0, 0), (1, 0))).tobytes()  # filter type 0 before each row
    assert image.dtype == np.uint8, image.dtype
    assert len(raw) <= _STORED_BLOCK, image.shape
    block = b"\x01" + struct.pack("<HH", len(raw), len(raw) ^ 0xFFFF) + raw
    stream = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(raw))
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

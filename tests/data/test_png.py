"""PNG files: Pillow reads what we write, and whatever is not a sound PNG is told apart."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shearbench.data import png

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def with_size(width: int, height: int) -> bytes:
    """A PNG whose header declares another size, with a sound checksum."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    whole = png.encode(IMAGE)
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 200)])
def test_pillow_reads_the_same_pixels(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(put(tmp_path / "a.png", png.encode(pixels)), formats=("PNG",)) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert png.fault_in(tmp_path / "a.png") is None


def test_pixels_are_stored_without_compression() -> None:
    row = bytes([0]) + IMAGE[5].tobytes()
    assert row in png.encode(IMAGE)
    assert png.encode(np.zeros((1, 1), np.uint8)) == bytes.fromhex(
        "89504e470d0a1a0a 0000000d 49484452 00000001 00000001 08 00 00 00 00 3a7e9b55"
        "0000000d 49444154 7801 01 0200fdff 0000 00020001 7e050dd2"
        "00000000 49454e44 ae426082"
    )


@pytest.mark.parametrize("mode", ["RGBA", "P", "1", "I;16", "LA"])
def test_every_mode_of_a_png_is_sound(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (28, 28)).save(tmp_path / "a.png")
    assert png.fault_in(tmp_path / "a.png") is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is not a PNG"),
        (b"digit seven", "is not a PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "is not a PNG"),
        (png.encode(IMAGE)[:20], "is not a PNG"),
        (png.encode(IMAGE)[:300], "cannot be decoded"),
        (png.encode(IMAGE)[:40] + b"\0" * 40 + png.encode(IMAGE)[80:], "cannot be decoded"),
        (with_size(65_535, 65_535), "is 65535 x 65535 pixels"),
        (with_size(0, 28), "is 0 x 28 pixels"),
        (png.encode(IMAGE) + bytes(png.MAX_BYTES), "the most is 10000000"),
    ],
)
def test_a_fault_is_told(tmp_path: Path, content: bytes, fault: str) -> None:
    assert fault in str(png.fault_in(put(tmp_path / "a.png", content)))

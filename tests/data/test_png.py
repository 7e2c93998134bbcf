"""PNG files: Pillow reads what we write."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shearbench.data.class_digits import encode_png

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("shape", [(28, 28), (1, 1), (3, 200)])
def test_pillow_reads_the_same_pixels(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(put(tmp_path / "a.png", encode_png(pixels)), formats=("PNG",)) as image:
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_pixels_are_stored_without_compression() -> None:
    row = bytes([0]) + IMAGE[5].tobytes()
    assert row in encode_png(IMAGE)
    assert encode_png(np.zeros((1, 1), np.uint8)) == bytes.fromhex(
        "89504e470d0a1a0a 0000000d 49484452 00000001 00000001 08 00 00 00 00 3a7e9b55"
        "0000000d 49444154 7801 01 0200fdff 0000 00020001 7e050dd2"
        "00000000 49454e44 ae426082"
    )

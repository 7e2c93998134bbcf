"""IDX files: the bytes of the format's definition, and every way in which a file can be wrong."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from shearbench.data import idx
from shearbench.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([0, 9, 3, 3, 1, 5, 2], np.uint8)


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_encoded_bytes_by_hand() -> None:
    assert idx.encode(np.array([7, 9], np.uint8)) == bytes.fromhex("00000801 00000002 07 09")
    assert idx.encode(IMAGES[:1])[:16] == bytes.fromhex("00000803 00000001 0000001c 0000001c")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_what_is_written_is_read(tmp_path: Path, pack) -> None:  # type: ignore[no-untyped-def]
    images, labels = idx.read_pair(
        put(tmp_path / "images", pack(idx.encode(IMAGES))), put(tmp_path / "labels", pack(idx.encode(LABELS)))
    )
    np.testing.assert_array_equal(images, IMAGES, strict=True)
    np.testing.assert_array_equal(labels, LABELS, strict=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with an IDX header of 16 bytes, got 0"),
        (idx.encode(IMAGES)[:11], "header of 16 bytes, got 11"),
        (idx.encode(LABELS), "header of 16 bytes, got 15"),
        (idx.encode(LABELS) + b"\0", "0x00000803, an IDX file of images, got 0x00000801"),
        (b"<!DOCTYPE html><html></html>", "got 0x3c21444f"),
        (idx.encode(IMAGES)[:-1], r"declares 5488 bytes of data for shape \(7, 28, 28\) but holds only 5487"),
        (idx.encode(IMAGES) + b"\0", "declares 5488 bytes .* but holds more"),
        (struct.pack(">4I", 0x803, 1, 32, 32) + bytes(1024), "images of 28 x 28, got 32 x 32"),
        (struct.pack(">4I", 0x803, 2**31, 28, 28), "the most is 268435456"),
        (struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1), "the most is 268435456"),
        (gzip.compress(idx.encode(IMAGES))[:-200], "damaged gzip"),
        (gzip.compress(idx.encode(IMAGES))[:30] + b"\xff" * 3000, "damaged gzip"),
        (b"\x1f\x8bnot gzip at all, only its first bytes", "damaged gzip"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"{tmp_path / 'bad'}.*{message}"):
        idx.read_images(put(tmp_path / "bad", content))


@pytest.mark.parametrize("label", [10, 255])
def test_a_label_out_of_range_is_placed(tmp_path: Path, label: int) -> None:
    labels = np.array([1, 9, label, label], np.uint8)
    with pytest.raises(InputError, match=f"labels 0 to 9, got {label} at position 2"):
        idx.read_labels(put(tmp_path / "labels", idx.encode(labels)))


def test_counts_that_differ_name_both_files(tmp_path: Path) -> None:
    images = put(tmp_path / "images", idx.encode(IMAGES))
    labels = put(tmp_path / "labels", idx.encode(LABELS[:5]))
    with pytest.raises(InputError, match=r"images and .*labels must .* got 7 images and 5 labels"):
        idx.read_pair(images, labels)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone cannot be read: No such file"):
        idx.read_images(tmp_path / "gone")
    with pytest.raises(InputError, match=r"cannot be read: Is a directory"):
        idx.read_images(tmp_path)


def test_a_bomb_stops_at_the_declared_size(tmp_path: Path) -> None:
    bomb = put(tmp_path / "bomb", gzip.compress(idx.encode(LABELS) + bytes(100_000_000)))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"declares 7 bytes .* but holds more"):
        idx.read_labels(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000

"""Reading: every mode of PNG and JPEG keeps its pixels, and whatever else lies in a folder is told apart."""

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from shearbench.data import handwritten as reading
from shearbench.data.class_digits import encode_png
from shearbench.data.handwritten import Unreadable, list_folder, read_file
from shearbench.errors import InputError

GREY = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def _saved(path: Path, image: Image.Image, kind: str = "PNG", **options: object) -> Path:
    image.save(path, kind, **options)
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _header(width: int, height: int) -> bytes:
    """A PNG whose header declares another size, with a sound checksum."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    whole = encode_png(GREY)
    return whole[:12] + header + struct.pack(">I", zlib.crc32(header)) + whole[33:]


OPAQUE = {
    "L": (Image.fromarray(GREY), GREY),
    "1": (Image.fromarray(GREY > 99), np.where(GREY > 99, 255, 0)),
    "RGB": (Image.fromarray(np.stack([GREY] * 3, axis=-1)), GREY),
    "P": (Image.fromarray(GREY).convert("RGB").quantize(256), None),
    "I;16": (Image.fromarray(GREY.astype(np.uint16) * 257), GREY),
    "I;16 of 8 bits": (Image.fromarray(GREY.astype(np.uint16)), GREY),
}


@pytest.mark.parametrize("mode", OPAQUE)
def test_an_opaque_picture_of_any_mode_has_its_grey_levels(tmp_path: Path, mode: str) -> None:
    image, expected = OPAQUE[mode]
    picture = read_file(_saved(tmp_path / "a.png", image))
    expected = np.asarray(image.convert("L")) if expected is None else expected
    np.testing.assert_array_equal(picture.colour, np.repeat(expected[..., None], 3, axis=2))
    assert (picture.opacity == 255).all()
    np.testing.assert_array_equal(picture.grey, expected)  # 28 x 28 already: the study's resize changes nothing


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_kept_beside_the_colours(tmp_path: Path, mode: str) -> None:
    opacity = np.where(np.indices((28, 28))[0] < 9, 0, 255).astype(np.uint8)
    whole = Image.merge("RGBA", [Image.fromarray(GREY)] * 3 + [Image.fromarray(opacity)])
    if mode == "P":
        levels = np.where(opacity == 0, 0, 1 + GREY % 200).astype(np.uint8)
        image = Image.fromarray(levels, "P")
        image.putpalette([level for level in range(256) for _ in range(3)])
        path = _saved(tmp_path / "a.png", image, transparency=0)
    else:
        path = _saved(tmp_path / "a.png", whole.convert(mode))
    picture = read_file(path)
    np.testing.assert_array_equal(picture.opacity, opacity)
    expected = GREY if mode != "P" else levels
    np.testing.assert_array_equal(picture.colour[9:, :, 0], expected[9:])


def test_a_jpeg_is_read_whatever_it_is_called(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    for mode in ("L", "RGB", "CMYK"):
        picture = read_file(_saved(tmp_path / "7-1-1.png", Image.fromarray(smooth).convert(mode), "JPEG", quality=95))
        assert picture.format == "JPEG"
        assert np.abs(picture.colour[..., 0].astype(int) - smooth).max() < 8


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    image = Image.fromarray(np.pad(np.full((10, 40), 255, np.uint8), ((0, 50), (0, 0))))  # light above
    exif = Image.Exif()
    exif[0x0112] = 3  # held upside down
    picture = read_file(_saved(tmp_path / "a.png", image, "JPEG", exif=exif))
    assert picture.colour[-5:].mean() > 200
    assert picture.colour[:30].mean() < 30
    exif[0x0112] = 6  # a quarter turn
    picture = read_file(_saved(tmp_path / "a.png", image, "JPEG", exif=exif))
    assert picture.colour.shape == (40, 60, 3)
    assert picture.notes == ("turned as its EXIF data says",)


def test_the_first_picture_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    path = _saved(tmp_path / "a.png", frames[0], save_all=True, append_images=frames[1:])
    picture = read_file(path)
    np.testing.assert_array_equal(picture.colour[..., 0], GREY)
    assert picture.notes == ("first of several frames",)


def test_a_large_picture_is_made_smaller_in_proportion(tmp_path: Path) -> None:
    image = Image.new("RGB", (1600, 800), (200, 100, 50))
    picture = read_file(_saved(tmp_path / "a.png", image))
    assert picture.colour.shape == (reading.WORKING_SIDE // 2, reading.WORKING_SIDE, 3)
    assert (picture.colour == (200, 100, 50)).all()
    assert picture.original == (1600, 800)


def test_the_studys_grey_is_pillows_own(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 60, 4), dtype=np.uint8), "RGBA")
    picture = read_file(_saved(tmp_path / "a.png", image))
    np.testing.assert_array_equal(picture.grey, np.asarray(image.convert("L").resize((28, 28))))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"digit seven", "neither a PNG nor a JPEG"),
        (b"\x89PNG\r\n\x1a\n", "neither a PNG|cannot be decoded"),
        (b"GIF89a" + bytes(100), "neither a PNG nor a JPEG"),
        (encode_png(GREY)[:300], "cannot be decoded"),
        (encode_png(GREY)[:40] + b"\0" * 40 + encode_png(GREY)[80:], "neither a PNG"),
        (encode_png(GREY)[:60] + b"\0" * 40 + encode_png(GREY)[100:], "cannot be decoded"),
        (_header(65_535, 65_535), "far more pixels than 25,000,000"),
        (_header(8_000, 8_000), "is 8000 x 8000 pixels, the most is 25,000,000"),
        (_header(0, 28), "cannot be decoded|too small|neither"),
        (_header(3, 28), "too small to hold a digit"),
        (encode_png(GREY) + bytes(reading.MAX_BYTES), "the most is 64000000"),
    ],
)
def test_a_file_that_is_no_picture_of_ours_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        read_file(_bytes(tmp_path / "a.png", content))


@pytest.mark.parametrize("cut", [20, 33, 60, 200, 500, 800])
def test_a_jpeg_or_png_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    for kind in ("PNG", "JPEG"):
        whole = _saved(tmp_path / "whole", noise, kind).read_bytes()
        with pytest.raises(Unreadable):
            read_file(_bytes(tmp_path / "a.png", whole[:cut]))


def test_a_compressed_text_of_a_hundred_megabytes_is_not_unpacked(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 100_000_000, zip=True)
    path = _saved(tmp_path / "a.png", Image.fromarray(GREY), pnginfo=info)
    assert path.stat().st_size < 200_000
    with pytest.raises(Unreadable, match="cannot be decoded"):
        read_file(path)


def test_what_pillow_warns_of_is_noted_and_warns_nobody(tmp_path: Path) -> None:
    image = Image.fromarray(GREY)
    path = _saved(tmp_path / "a.png", image, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = read_file(path)
    assert picture.format == "JPEG"


def test_every_name_in_the_folder_is_listed_and_only_files_of_it_are_read(tmp_path: Path) -> None:
    folder, outside = tmp_path / "class", tmp_path / "secret.png"
    folder.mkdir()
    _bytes(outside, encode_png(GREY))
    for name in ("7-1-2.png", "0-12-3.PNG", "3-01-002.jpg", "4-1-1.jpeg", "10-1-1.png", "7-1.png", "seven.png"):
        _bytes(folder / name, encode_png(GREY))
    for name in (".DS_Store", "7-1-2.png.bak", "７-1-2.png"):  # the last one begins with a digit of full width
        _bytes(folder / name, b"")
    (folder / "5-1-1.png").symlink_to(outside)
    (folder / "5-1-2.png").symlink_to("7-1-2.png")
    (folder / "5-1-3.png").symlink_to("5-1-3.png")
    (folder / "5-1-4.png").symlink_to("nowhere.png")
    (folder / "5-1-5.png").mkdir()
    os.mkfifo(folder / "5-1-6.png")
    (folder / "5-1-7.png").symlink_to("..")
    entries = {entry.file: entry for entry in list_folder(folder)}
    assert set(entries) == {path.name for path in folder.iterdir()}
    usable = {name for name, entry in entries.items() if not entry.reason}
    assert usable == {"7-1-2.png", "0-12-3.PNG", "3-01-002.jpg", "4-1-1.jpeg", "5-1-2.png"}
    third = entries["3-01-002.jpg"]
    assert (third.digit, third.group, third.member) == (3, 1, 2)
    reasons = {
        "5-1-1.png": "out of the folder",
        "5-1-3.png": "leads nowhere",
        "5-1-4.png": "leads nowhere",
        "5-1-5.png": "is a folder",
        "5-1-6.png": "not a plain file",
        "5-1-7.png": "out of the folder",
        "10-1-1.png": "must be named",
    }
    for name, reason in reasons.items():
        assert reason in entries[name].reason


def test_no_folder_an_empty_one_and_a_crowded_one_are_the_users_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        list_folder(tmp_path / "none")
    (tmp_path / "7-2-4.png.gradcam.png").touch()  # a picture of ours is nobody's drawing
    with pytest.raises(InputError, match="is empty"):
        list_folder(tmp_path)
    monkeypatch.setattr(reading, "MAX_FILES", 1)
    for name in ("1-1-1.png", "2-1-1.png"):
        _bytes(tmp_path / name, b"")
    with pytest.raises(InputError, match="has 2 names, the most is 1"):
        list_folder(tmp_path)

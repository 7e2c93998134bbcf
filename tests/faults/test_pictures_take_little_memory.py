"""Whatever a picture claims or is, reading it takes less than 300 MB, measured in a process of its own."""

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, PngImagePlugin

from shearbench.data.handwritten import MAX_PIXELS

SIDE = 4000
READ = """
import re, sys
from pathlib import Path
from shearbench.handwriting.folder import list_folder, read_sheet
folder = Path(sys.argv[1])
for entry in list_folder(folder):
    sheet = read_sheet(folder, entry)
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024  # of this program
    print(f"{peak}|{entry.file}|{sheet.unread}|{sheet.facts.get('mode', '')}", flush=True)
"""


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claims(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data does not have."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + _chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + _chunk(b"IEND", b"")


def encoded(image: Image.Image, kind: str = "PNG", **rest: object) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    image.save(file, kind, **rest)
    return file.getvalue()


def with_profile() -> bytes:
    """A small picture whose colour profile unpacks to 200 MB."""
    small = encoded(Image.new("L", (28, 28)))
    profile = _chunk(b"iCCP", b"x\x00\x00" + zlib.compress(b"\x00" * 200_000_000))
    return small[:33] + profile + small[33:]


def with_text() -> bytes:
    """A small picture with a text that unpacks to 100 MB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("x", "a" * 100_000_000, zip=True)
    return encoded(Image.new("L", (28, 28)), pnginfo=info)


def turned() -> bytes:
    """A JPEG that its camera held sideways."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (SIDE, SIDE), (200, 1, 2)), "JPEG", exif=exif, progressive=True)


def photo() -> bytes:
    """A photo of 24 megapixels, as a phone makes them: a four on paper with grain and a lamp's gradient."""
    sheet = Image.new("L", (6000, 4000), 205)
    pen = ImageDraw.Draw(sheet)
    pen.line([(2700, 1000), (2300, 2300), (3700, 2300)], fill=40, width=160, joint="curve")
    pen.line([(3200, 1500), (3100, 3100)], fill=40, width=160)
    grain = Image.effect_noise((1500, 1000), 12).resize(sheet.size)
    light = Image.linear_gradient("L").resize(sheet.size).point(lambda grey: 100 + grey // 5)
    mixed = ImageChops.add(ImageChops.add(sheet, grain, offset=-128), light, offset=-120)
    return encoded(mixed.convert("RGB"), "JPEG", quality=90)


def _flat(dtype: type, *layers: int) -> Image.Image:
    return Image.fromarray(np.full((SIDE, SIDE, *layers), 40, dtype))


PICTURES: dict[str, Callable[[], bytes]] = {
    "all that a header can claim": lambda: claims(2**31 - 1, 2**31 - 1),
    "65535 x 65535": lambda: claims(65535, 65535),
    "just below the cap, no data": lambda: claims(SIDE, SIDE),
    "14000 x 14000, black and white": lambda: encoded(Image.new("1", (14000, 14000))),
    "a line of 4,000,000": lambda: encoded(Image.new("RGBA", (4_000_000, 4))),
    "four layers": lambda: encoded(_flat(np.uint8, 4)),
    "grey and opacity": lambda: encoded(_flat(np.uint8).convert("LA")),
    "16 bits": lambda: encoded(Image.fromarray(np.full((SIDE, SIDE), 40_000, np.uint16))),
    "palette": lambda: encoded(_flat(np.uint8).convert("P"), transparency=0),
    "printer's colours": lambda: encoded(Image.new("CMYK", (SIDE, SIDE)), "JPEG"),
    "turned": turned,
    "24 megapixels": photo,
    "profile": with_profile,
    "text": with_text,
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is given in KiB on Linux only")
def test_reading_any_picture_takes_less_than_300_mb(tmp_path: Path) -> None:
    assert MAX_PIXELS >= SIDE * SIDE
    folder = tmp_path / "class"
    folder.mkdir()
    for place, make in enumerate(PICTURES.values()):
        (folder / f"{place % 10}-{place}-1.png").write_bytes(make())
    command = [sys.executable, "-c", READ, str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ}).stdout
    lines = [line.split("|") for line in output.splitlines()]
    assert len(lines) == len(PICTURES)
    names = dict(zip((f"{place % 10}-{place}-1.png" for place in range(len(PICTURES))), PICTURES, strict=True))
    told = {names[file]: (int(peak), unread, mode) for peak, file, unread, mode in lines}
    assert {name: peak for name, (peak, _, _) in told.items() if peak >= 300} == {}
    unread = {name for name, (_, reason, _) in told.items() if reason}
    assert unread == {
        *("all that a header can claim", "65535 x 65535", "just below the cap, no data"),
        *("14000 x 14000, black and white", "a line of 4,000,000", "profile", "text"),
    }

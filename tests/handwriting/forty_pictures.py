"""Forty-one pictures of digits as pens, papers, phones and programs make them: drawn from strokes, none from MNIST.

``PICTURES`` maps a file name to how its file is made and what is to come of it: a digit, ``UNSURE``, or the sentence
with which it is refused. ``python tests/handwriting/forty_pictures.py FOLDER`` writes them.
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Ink = NDArray[np.float64]
Stroke = list[tuple[float, float]]
SIDE = 240
UNSURE = "unsure"


def _round(x: float, y: float, width: float, height: float) -> Stroke:
    angles = np.linspace(-1.8, 2 * np.pi - 1.8, 40)
    return [(x + width * float(np.cos(a)), y + height * float(np.sin(a))) for a in angles]


STROKES: dict[str, list[Stroke]] = {  # x to the right, y down, both 0 to 1
    "0": [_round(0.5, 0.5, 0.33, 0.5)],
    "1": [[(0.52, 0), (0.48, 1)]],
    "2": [[(0.15, 0.25), (0.25, 0.06), (0.5, 0), (0.76, 0.08), (0.82, 0.28), (0.7, 0.5), (0.12, 1), (0.9, 0.98)]],
    "3": [
        [
            (0.15, 0.1),
            (0.45, 0),
            (0.75, 0.1),
            (0.78, 0.3),
            (0.38, 0.48),
            (0.66, 0.54),
            (0.83, 0.7),
            (0.45, 1),
            (0.12, 0.9),
        ]
    ],
    "4": [[(0.25, 0), (0.12, 0.58), (0.9, 0.55)], [(0.7, 0.15), (0.64, 1)]],
    "5": [
        [(0.8, 0), (0.25, 0.02), (0.2, 0.42), (0.5, 0.37), (0.8, 0.5), (0.82, 0.78), (0.6, 0.97), (0.3, 1), (0.12, 0.9)]
    ],
    "6": [
        [(0.7, 0), (0.4, 0.2), (0.2, 0.55), (0.2, 0.82), (0.4, 1), (0.68, 0.96), (0.8, 0.75), (0.62, 0.56), (0.2, 0.72)]
    ],
    "7": [[(0.1, 0.04), (0.86, 0), (0.6, 0.45), (0.42, 1)]],
    "8": [
        [(0.74, 0.14), (0.5, 0), (0.26, 0.12), (0.28, 0.32), (0.76, 0.66), (0.78, 0.88), (0.5, 1)],
        [(0.5, 1), (0.22, 0.88), (0.24, 0.66), (0.72, 0.32), (0.74, 0.14)],
    ],
    "9": [
        [
            (0.8, 0.2),
            (0.5, 0),
            (0.22, 0.16),
            (0.24, 0.42),
            (0.5, 0.5),
            (0.78, 0.36),
            (0.8, 0.2),
            (0.76, 0.55),
            (0.64, 1),
        ]
    ],
}
STROKES |= {
    "slashed 0": [*STROKES["0"], [(0.22, 0.9), (0.78, 0.1)]],
    "1 with a foot": [[(0.28, 0.22), (0.52, 0), (0.5, 1)], [(0.22, 1), (0.8, 0.99)]],
    "closed 4": [[(0.68, 1), (0.7, 0), (0.1, 0.62), (0.92, 0.62)]],
    "7 with a bar": [*STROKES["7"], [(0.3, 0.52), (0.78, 0.48)]],
}


def ink(digit: str, *, pen: float = 15, height: int = 150, place: tuple[int, int] | None = None) -> Ink:
    """Return ink 0 to 1 of a digit on a sheet (240, 240), smooth, its strokes ``pen`` pixels wide."""
    times, width = 3, 0.66 * height
    left, top = place or ((SIDE - width) / 2, (SIDE - height) / 2)
    sheet = Image.new("L", (SIDE * times, SIDE * times))
    draw = ImageDraw.Draw(sheet)
    for stroke in STROKES[digit]:
        points = [(times * (left + width * x), times * (top + height * y)) for x, y in stroke]
        draw.line(points, fill=255, width=round(times * pen), joint="curve")
        for x, y in points:
            half = times * pen / 2 - 1
            draw.ellipse([x - half, y - half, x + half, y + half], fill=255)
    small = sheet.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(ndimage.gaussian_filter(np.asarray(small) / 255.0, 0.7))


def _on(paper: NDArray[np.float64] | float, drawn: Ink, level: float = 30) -> Image.Image:
    return Image.fromarray(np.clip(paper + (level - paper) * drawn, 0, 255).round().astype(np.uint8))


def _file(image: Image.Image, kind: str = "PNG", **rest: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **rest)
    return file.getvalue()


def _coloured(drawn: Ink, pen: tuple[int, ...], paper: tuple[int, ...]) -> Image.Image:
    levels = np.array(paper) + drawn[..., None] * (np.array(pen) - np.array(paper))
    return Image.fromarray(levels.round().astype(np.uint8))


def _grain(level: float, deviation: float = 3) -> NDArray[np.float64]:
    return level + np.random.default_rng(7).normal(0, deviation, (SIDE, SIDE))


def _lines(axes: str) -> NDArray[np.float64]:
    paper = np.full((SIDE, SIDE), 248.0)
    for start in range(12, SIDE, 30):
        paper[start : start + 2] = 165
        if axes == "both":
            paper[:, start : start + 2] = 165
    return paper


def _light() -> NDArray[np.float64]:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return _grain(170, 4) + 35 * x - 25 * y


def _shadow() -> NDArray[np.float64]:
    y, x = np.mgrid[:SIDE, :SIDE]
    return _grain(215) * (1 - 0.45 / (1 + np.exp(-(x + 0.6 * y - 190) / 14)))


def _crease() -> NDArray[np.float64]:
    y, x = np.mgrid[:SIDE, :SIDE]
    return _grain(220) + 16 * np.tanh((x - 0.3 * y - 130) / 40) - 18 * np.exp(-(((x - 0.3 * y - 130) / 2.5) ** 2))


def _cut(digit: str) -> Image.Image:
    drawn = ink(digit)
    rows, columns = (np.flatnonzero((drawn > 0.2).any(axis=axis)) for axis in (1, 0))
    return _on(250, drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def _boxed(digit: str) -> Image.Image:
    image = _on(250, ink(digit))
    ImageDraw.Draw(image).rectangle([12, 12, SIDE - 13, SIDE - 13], outline=40, width=4)
    return image


def _turned(digit: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _file(_on(_grain(230), ink(digit)).transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


def _transparent(digit: str) -> bytes:
    layers = np.zeros((SIDE, SIDE, 4), np.uint8)
    layers[..., 3] = (255 * ink(digit)).round()
    return _file(Image.fromarray(layers))


def _sixteen(digit: str) -> bytes:
    return _file(Image.fromarray((60_000 - 52_000 * ink(digit)).astype(np.uint16)))


def _two() -> bytes:
    both = [ink(digit, height=120, place=(left, 60)) for digit, left in (("3", 25), ("8", 140))]
    return _file(_on(250, np.maximum(*both)))


HEIC = b"\x00\x00\x00\x18ftypheic" + bytes(100)
PICTURES: dict[str, tuple[Callable[[], bytes], int | str]] = {
    **{f"{digit}-pen.png": (lambda digit=digit: _file(_on(250, ink(str(digit)))), digit) for digit in range(10)},
    "0-slash.png": (lambda: _file(_on(250, ink("slashed 0"))), 0),
    "1-foot.png": (lambda: _file(_on(250, ink("1 with a foot"))), 1),
    "4-closed.png": (lambda: _file(_on(250, ink("closed 4"))), 4),
    "7-bar.png": (lambda: _file(_on(250, ink("7 with a bar"))), 7),
    "2-pencil.png": (lambda: _file(_on(_grain(235), ink("2", pen=4), 165)), 2),
    "3-marker.png": (lambda: _file(_on(250, ink("3", pen=27))), 3),
    "5-hairline.png": (lambda: _file(_on(255, ink("5", pen=2))), 5),
    "6-red.png": (lambda: _file(_coloured(ink("6"), (200, 30, 40), (255, 255, 255))), 6),
    "8-yellow.png": (lambda: _file(_coloured(ink("8"), (250, 235, 60), (255, 255, 255))), 8),
    "9-chalk.png": (lambda: _file(_on(_grain(35, 5), ink("9"), 225)), 9),
    "5-squared.png": (lambda: _file(_on(_lines("both"), ink("5"), 20)), 5),
    "6-ruled.png": (lambda: _file(_on(_lines("one"), ink("6"), 20)), 6),
    "2-lamp.jpg": (lambda: _file(_on(_light(), ink("2"), 45), "JPEG", quality=85), 2),
    "4-shadow.jpg": (lambda: _file(_on(_shadow(), ink("4"), 30), "JPEG", quality=85), 4),
    "8-crease.jpg": (lambda: _file(_on(_crease(), ink("8"), 40), "JPEG", quality=85), 8),
    "3-border.png": (lambda: _file(_cut("3")), 3),
    "9-corner.png": (lambda: _file(_on(250, ink("9", height=70, pen=8, place=(165, 160)))), 9),
    "7-box.png": (lambda: _file(_boxed("7 with a bar")), 7),
    "0-blue paper.png": (lambda: _file(_coloured(ink("0"), (20, 20, 90), (150, 190, 230))), 0),
    "2-artefacts.jpg": (lambda: _file(_on(240, ink("2")), "JPEG", quality=12), 2),
    "3-web.webp": (lambda: _file(_on(240, ink("3")), "WEBP"), 3),
    "4-paint.bmp": (lambda: _file(_on(255, ink("4")), "BMP"), 4),
    "5-scan.tiff": (lambda: _file(_on(_grain(240), ink("5")), "TIFF"), 5),
    "6-layer.png": (lambda: _transparent("6"), 6),
    "8-palette.png": (lambda: _file(_on(250, ink("8")).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)), 8),
    "9-sixteen.png": (lambda: _sixteen("9"), 9),
    "7-phone.jpg": (lambda: _turned("7"), 7),
    "5-iphone.heic": (lambda: HEIC, "HEIC or AVIF picture, which is not read here: export it as JPEG"),
    "1-text.png": (lambda: b"a one", "neither a PNG nor a JPEG"),
    "2-blank.png": (lambda: _file(Image.fromarray(_grain(240).astype(np.uint8))), "no ink"),
    "3-two.png": (_two, UNSURE),
}


def write(folder: Path) -> None:
    """Write all pictures into a folder."""
    for name, (make, _) in PICTURES.items():
        (folder / name).write_bytes(make())


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    write(Path(sys.argv[1]))

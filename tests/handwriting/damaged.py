"""MNIST digits, damaged in the ways that students' pictures are: what the preparation is developed and tested on.

``DAMAGES`` maps a name to a function of a digit (28, 28) uint8, white on black, and a generator, that returns a
Pillow image of any mode and size. Nothing here was made after looking at a real class.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Digit = NDArray[np.uint8]
Damage = Callable[[Digit, np.random.Generator], Image.Image]


def _sheet(digit: Digit, rng: np.random.Generator, *, side: int, share: tuple[float, float]) -> NDArray[np.float64]:
    """Ink 0 to 1 of a digit drawn anew on a sheet (side, side), its image taking a share of it, anywhere."""
    size = max(12, int(side * rng.uniform(*share)))
    drawn = np.asarray(Image.fromarray(digit).resize((size, size), Image.Resampling.BICUBIC)) / 255.0
    if size > 60:  # a pen has sharper edges than an enlarged image
        drawn = np.clip((drawn - 0.35) / 0.3, 0, 1)
    sheet = np.zeros((side, side))
    top, left = rng.integers(0, side - size + 1, 2)
    sheet[top : top + size, left : left + size] = drawn
    return sheet


def _grey(ink: NDArray[np.float64], paper: NDArray[np.float64] | float, pen: float) -> Image.Image:
    return Image.fromarray(np.clip(np.round(paper + (pen - paper) * ink), 0, 255).astype(np.uint8))


def _uneven(shape: tuple[int, int], rng: np.random.Generator, *, level: float, slope: float) -> NDArray[np.float64]:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    a, b, c = rng.uniform(-1, 1, 3)
    return level + slope * (a * x + b * y + 0.7 * c * x * y)


def plain(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(digit)


def inverted(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(255 - digit)


def faint(digit: Digit, rng: np.random.Generator) -> Image.Image:
    pen = rng.uniform(25, 80)
    return _grey(digit / 255.0, 0.0, pen)


def grey_paper(digit: Digit, rng: np.random.Generator) -> Image.Image:
    paper = rng.uniform(60, 200) + rng.normal(0, 5, digit.shape)
    return _grey(digit / 255.0, paper, rng.choice([10.0, 250.0]))


def canvas(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Drawn with a mouse: sharp, black on white or white on black, somewhere on a large canvas."""
    ink = _sheet(digit, rng, side=int(rng.choice([100, 200, 280, 512])), share=(0.4, 1.0))
    return _grey(ink, *rng.permutation([0.0, 255.0]))


def corner(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return _grey(_sheet(digit, rng, side=int(rng.choice([56, 150])), share=(0.25, 0.45)), 255.0, 20.0)


def photograph(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Dark ink on paper under a lamp, with grain, as a JPEG."""
    ink = ndimage.gaussian_filter(_sheet(digit, rng, side=240, share=(0.4, 0.9)), 1.0)
    paper = _uneven(ink.shape, rng, level=rng.uniform(130, 210), slope=40) + rng.normal(0, 4, ink.shape)
    file = io.BytesIO()
    _grey(ink, paper, rng.uniform(20, 80)).convert("RGB").save(file, "JPEG", quality=60)
    return Image.open(io.BytesIO(file.getvalue()))


def small_photograph(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return photograph(digit, rng).convert("L").resize((28, 28), Image.Resampling.BOX)


def transparent(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Ink of one colour on a sheet without any."""
    ink = _sheet(digit, rng, side=128, share=(0.5, 0.9))
    pen = rng.choice([0, 255])
    layers = [np.full(ink.shape, pen, np.uint8)] * 3 + [np.round(ink * 255).astype(np.uint8)]
    return Image.fromarray(np.stack(layers, axis=-1), "RGBA")


def coloured(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Two colours of about the same luminance: only the difference of colours shows the digit."""
    ink = _sheet(digit, rng, side=64, share=(0.6, 1.0))[..., None]
    paper, pen = np.array([230, 120, 60]), np.array([60, 170, 220])
    return Image.fromarray(np.round(paper + (pen - paper) * ink).astype(np.uint8), "RGB")


def palette(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return canvas(digit, rng).convert("RGB").quantize(8)


def bilevel(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return canvas(digit, rng).point(lambda level: 255 * (level > 127)).convert("1")


def sixteen_bits(digit: Digit, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray((65535 - digit.astype(np.uint16) * 257).astype(np.uint16))


def framed(digit: Digit, rng: np.random.Generator) -> Image.Image:
    image = _grey(_sheet(digit, rng, side=160, share=(0.5, 0.8)), 250.0, 10.0)
    ImageDraw.Draw(image).rectangle((0, 0, 159, 159), outline=0, width=int(rng.integers(1, 6)))
    return image


def ruled(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """On ruled paper, the lines a third as dark as the ink."""
    ink = _sheet(digit, rng, side=160, share=(0.5, 0.9))
    paper = np.full(ink.shape, 245.0)
    paper[int(rng.integers(5, 20)) :: 24] = 175
    return _grey(ink, paper, 20.0)


def oblong(digit: Digit, rng: np.random.Generator) -> Image.Image:
    ink = _sheet(digit, rng, side=120, share=(0.5, 0.9))
    return _grey(np.pad(ink, ((0, 0), (0, int(rng.integers(30, 200))))), 255.0, 0.0)


def specks(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Dirt: some single pixels as dark as the ink."""
    ink = _sheet(digit, rng, side=140, share=(0.6, 0.9))
    ink[rng.integers(0, 140, 25), rng.integers(0, 140, 25)] = 1
    return _grey(ink, 255.0, 30.0)


def thin_pen(digit: Digit, rng: np.random.Generator) -> Image.Image:
    ink = _sheet(digit, rng, side=300, share=(0.6, 0.95))
    distance = ndimage.distance_transform_edt(ink > 0.5)
    ridge = (distance >= ndimage.maximum_filter(distance, 5) - 0.6) & (distance > 1)
    return _grey(ndimage.binary_dilation(ridge, iterations=2).astype(float), 255.0, 0.0)


def thick_pen(digit: Digit, rng: np.random.Generator) -> Image.Image:
    ink = _sheet(digit, rng, side=140, share=(0.6, 0.8))
    return _grey(ndimage.grey_dilation(ink, size=(5, 5)), 0.0, 255.0)


def textured(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """On rough paper, wood or cloth: grain that hangs together, at 28 x 28."""
    grain = ndimage.gaussian_filter(rng.normal(0, 1, digit.shape), 1.2)
    level, pen = rng.permutation([90.0, 220.0])
    return _grey(digit / 255.0, level + 12 * grain / grain.std(), pen)


def noisy(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Faint, and grainy by a sixth of its contrast."""
    ink = digit / 255.0
    return _grey(ink, 128 + rng.normal(0, 8, ink.shape), 128 + rng.choice([-50.0, 50.0]))


def tight(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """Cut off a pixel beyond its outermost ink."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    return Image.fromarray(255 - digit[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2])


def on_table(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """A light sheet that does not fill the picture: a dark table shows at two sides."""
    image = np.asarray(_grey(_sheet(digit, rng, side=180, share=(0.5, 0.8)), 235.0, 40.0))
    right, below = rng.integers(15, 45, 2)
    return Image.fromarray(np.pad(image, ((0, below), (0, right)), constant_values=60))


def shadow(digit: Digit, rng: np.random.Generator) -> Image.Image:
    """A hand's shadow over a part of the sheet, with a soft edge."""
    ink = _sheet(digit, rng, side=200, share=(0.5, 0.9))
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    a, b, c = [*rng.normal(size=2), rng.uniform(-0.7, 0.7)]
    lit = 1 / (1 + np.exp(-12 * ((a * x + b * y) / np.hypot(a, b) - c)))
    light = 0.65 + 0.35 * lit
    return Image.fromarray(np.clip((220 - 180 * ink) * light, 0, 255).astype(np.uint8))


DAMAGES: dict[str, Damage] = {
    made.__name__: made
    for made in (
        plain,
        inverted,
        faint,
        grey_paper,
        canvas,
        corner,
        photograph,
        small_photograph,
        transparent,
        coloured,
        palette,
        bilevel,
        sixteen_bits,
        framed,
        ruled,
        oblong,
        specks,
        thin_pen,
        thick_pen,
        textured,
        noisy,
        tight,
        on_table,
        shadow,
    )
}
